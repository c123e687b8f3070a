// SPDX-License-Identifier: MIT
//
// failing.c for CPython: the allocators of its objects and of PyMem_Malloc().

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

static PyMemAllocatorEx before[2];
static const PyMemAllocatorDomain domains[2] = { PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ };
static long asked, nth;
static int once;

static bool fails(void) {
    return ++asked == nth || (!once && asked > nth);
}

static void *failing_malloc(void *ctx, size_t size) {
    PyMemAllocatorEx *a = ctx;
    return fails() ? NULL : a->malloc(a->ctx, size);
}

static void *failing_calloc(void *ctx, size_t count, size_t size) {
    PyMemAllocatorEx *a = ctx;
    return fails() ? NULL : a->calloc(a->ctx, count, size);
}

static void *failing_realloc(void *ctx, void *p, size_t size) {
    PyMemAllocatorEx *a = ctx;
    return fails() ? NULL : a->realloc(a->ctx, p, size);
}

static void failing_free(void *ctx, void *p) {
    PyMemAllocatorEx *a = ctx;
    a->free(a->ctx, p);
}

static PyObject *failing_at(PyObject *Py_UNUSED(module), PyObject *args) {
    if (!PyArg_ParseTuple(args, "lp", &nth, &once)) {
        return NULL;
    }
    asked = 0;
    for (int i = 0; i < 2; i++) {
        PyMemAllocatorEx a = { &before[i], failing_malloc, failing_calloc, failing_realloc, failing_free };
        PyMem_GetAllocator(domains[i], &before[i]);
        PyMem_SetAllocator(domains[i], &a);
    }
    Py_RETURN_NONE;
}

static PyObject *failing_off(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    for (int i = 0; i < 2; i++) {
        PyMem_SetAllocator(domains[i], &before[i]);
    }
    return PyLong_FromLong(asked);
}

static PyMethodDef methods[] = {
    { "at", failing_at, METH_VARARGS, "the n-th allocation fails; once: that one alone" },
    { "off", failing_off, METH_NOARGS, "none fails any more; returns how many were asked for" },
    { NULL },
};

static PyModuleDef module = { PyModuleDef_HEAD_INIT, .m_name = "failing", .m_methods = methods };

PyMODINIT_FUNC PyInit_failing(void);

PyMODINIT_FUNC PyInit_failing(void) {
    return PyModule_Create(&module);
}
