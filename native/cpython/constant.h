// SPDX-License-Identifier: MIT
//
// Files that nobody can change behind the back of what uses them in place.

#ifndef CONSTANT_H
#define CONSTANT_H

#include <Python.h>

// The file is checked once, when it is opened: nobody may change it later. All but bytes, and views
// of bytes, are replaced by a copy: `readonly` says only that nobody writes by this very buffer.
// -1: exception is set.
static inline int make_constant(Py_buffer *file) {
    PyObject *owner = file->obj;
    if (PyMemoryView_Check(owner)) {
        owner = PyMemoryView_GET_BASE(owner);
    }
    if (owner != NULL && PyBytes_Check(owner)) {
        return 0;
    }
    PyObject *copy = PyBytes_FromStringAndSize(file->buf, file->len);
    PyBuffer_Release(file);
    int err = copy ? PyObject_GetBuffer(copy, file, PyBUF_SIMPLE) : -1;
    Py_XDECREF(copy); // the buffer keeps it
    return err;
}

#endif // CONSTANT_H
