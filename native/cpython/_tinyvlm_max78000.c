// SPDX-License-Identifier: MIT
//
// The MAX78000's driver on its simulator, as a CPython extension: module `_tinyvlm_max78000`.
//
//     sim = Simulator()                 # the chip; sim.read(address), sim.write(address, value)
//     device = Device(plan, sim)        # the driver
//     device.on(); device.load(); device.rows(image); device.run(); device.results(out)

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "constant.h"
#include "tv_max78000.h"
#include "tv_max78000_sim.h"

typedef struct {
    PyObject_HEAD
    tv_max78000_sim_t *sim;
} simulator_t;

typedef struct {
    PyObject_HEAD
    Py_buffer file;         // keeps the plan where it is
    simulator_t *simulator;
    tv_max78000_plan_t plan;
    tv_max78000_t dev;
    int busy;               // calls with a callback, which have pointers into the plan
} device_t;

static PyTypeObject *simulator_type;

static PyObject *simulator_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    unsigned noise = 1;
    static char *keywords[] = { "noise", NULL };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|I:Simulator", keywords, &noise)) {
        return NULL;
    }
    simulator_t *self = (simulator_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->sim = PyMem_Malloc(sizeof(*self->sim));
    if (self->sim == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    tv_max78000_sim_init(self->sim, noise);
    return (PyObject *)self;
}

static void simulator_dealloc(simulator_t *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(self->sim);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *simulator_read(simulator_t *self, PyObject *args) {
    unsigned address;
    if (!PyArg_ParseTuple(args, "I:read", &address)) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(tv_max78000_sim_read(self->sim, address));
}

static PyObject *simulator_write(simulator_t *self, PyObject *args) {
    unsigned address, value;
    if (!PyArg_ParseTuple(args, "II:write", &address, &value)) {
        return NULL;
    }
    tv_max78000_sim_write(self->sim, address, value);
    Py_RETURN_NONE;
}

static PyObject *simulator_get(simulator_t *self, void *what) {
    const tv_max78000_sim_t *sim = self->sim;
    switch (*(const char *)what) {
        case 'c':
            return PyLong_FromUnsignedLong(sim->cycles);
        case 'j':
            return PyLong_FromUnsignedLong(sim->jam);
        case 'r':
            return PyLong_FromUnsignedLong(sim->runs);
        case 'n':
            return PyLong_FromUnsignedLong(sim->faults);
        case 'f':
            if (sim->fault == TV_M78_FAULT_NONE) {
                Py_RETURN_NONE;
            }
            return PyUnicode_FromFormat("%s (at 0x%x)", tv_max78000_sim_strfault(sim->fault), sim->fault_address);
        default: {
            uint32_t layers = sim->quadrant[0].last_layer + 1;
            PyObject *list = PyList_New(layers);
            for (uint32_t i = 0; list != NULL && i < layers; i++) {
                PyList_SET_ITEM(list, i, PyLong_FromUnsignedLong(sim->layer_cycles[i]));
            }
            return list;
        }
    }
}

static int simulator_set_jam(simulator_t *self, PyObject *value, void *what) {
    (void)what;
    unsigned long jam = value ? PyLong_AsUnsignedLong(value) : 0;
    if (PyErr_Occurred()) {
        return -1;
    }
    self->sim->jam = (uint32_t)jam;
    return 0;
}

static PyMethodDef simulator_methods[] = {
    { "read", (PyCFunction)simulator_read, METH_VARARGS, "read(address) -> 32 bits from the bus" },
    { "write", (PyCFunction)simulator_write, METH_VARARGS,
      "write(address, value): 32 bits; a byte if the address is not a multiple of 4" },
    { NULL, NULL, 0, NULL },
};

static PyGetSetDef simulator_attributes[] = {
    { "cycles", (getter)simulator_get, NULL, "cycles of the last run, by the model", "c" },
    { "layer_cycles", (getter)simulator_get, NULL, "the same, layer by layer", "l" },
    { "runs", (getter)simulator_get, NULL, "finished runs", "r" },
    { "fault", (getter)simulator_get, NULL, "what was done wrong first, or None", "f" },
    { "faults", (getter)simulator_get, NULL, "how often something was done wrong", "n" },
    { "jam", (getter)simulator_get, (setter)simulator_set_jam, "what is broken: JAM_DONE | JAM_POWER | JAM_LATE | JAM_STUCK | JAM_FORGET", "j" },
    { NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot simulator_slots[] = {
    { Py_tp_doc, "Simulator(noise=1): a MAX78000's CNN accelerator, seen from the bus" },
    { Py_tp_new, simulator_new },
    { Py_tp_dealloc, simulator_dealloc },
    { Py_tp_methods, simulator_methods },
    { Py_tp_getset, simulator_attributes },
    { 0, NULL },
};

static PyType_Spec simulator_spec = {
    "_tinyvlm_max78000.Simulator", sizeof(simulator_t), 0, Py_TPFLAGS_DEFAULT, simulator_slots,
};

// None, or the exception for an error code.
static PyObject *answer(int err) {
    if (PyErr_Occurred()) {
        return NULL; // from a callback
    }
    if (err == TV_MAX78000_OK) {
        Py_RETURN_NONE;
    }
    PyObject *type = err == TV_MAX78000_ERR_TIMEOUT ? PyExc_TimeoutError
        : err <= TV_MAX78000_ERR_POWER ? PyExc_RuntimeError : PyExc_ValueError;
    PyErr_SetString(type, tv_max78000_strerror(err));
    return NULL;
}

static PyObject *device_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_buffer file;
    PyObject *simulator;
    static char *keywords[] = { "plan", "simulator", NULL };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*O!:Device", keywords, &file, simulator_type, &simulator)
        || make_constant(&file) < 0) {
        return NULL;
    }
    device_t *self = (device_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        PyBuffer_Release(&file);
        return NULL;
    }
    self->file = file;
    self->simulator = (simulator_t *)Py_NewRef(simulator);
    self->dev.bus = self->simulator->sim;
    int err = tv_max78000_plan_open(&self->plan, file.buf, (size_t)file.len);
    if (err) {
        answer(err);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void device_dealloc(device_t *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyBuffer_Release(&self->file);
    Py_XDECREF(self->simulator);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *device_use(device_t *self, PyObject *args) {
    Py_buffer file;
    tv_max78000_plan_t plan;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the device is running; use another plan later");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "y*:use", &file) || make_constant(&file) < 0) {
        return NULL;
    }
    int err = tv_max78000_plan_open(&plan, file.buf, (size_t)file.len);
    if (err) {
        PyBuffer_Release(&file);
        return answer(err);
    }
    PyBuffer_Release(&self->file);
    self->file = file;
    self->plan = plan;
    Py_RETURN_NONE;
}

static PyObject *device_on(device_t *self, PyObject *args) {
    (void)args;
    return answer(tv_max78000_on(&self->dev, &self->plan));
}

static PyObject *device_off(device_t *self, PyObject *args) {
    int keep = 0;
    if (!PyArg_ParseTuple(args, "|p:off", &keep)) {
        return NULL;
    }
    tv_max78000_off(&self->dev, keep);
    Py_RETURN_NONE;
}

// read(offset, size) -> bytes
static int read_weights(void *ctx, uint8_t *buffer, uint32_t offset, uint32_t size) {
    PyObject *bytes = PyObject_CallFunction(ctx, "II", (unsigned)offset, (unsigned)size);
    int err = -1;
    if (bytes != NULL && PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes) == (Py_ssize_t)size) {
        memcpy(buffer, PyBytes_AS_STRING(bytes), size);
        err = 0;
    }
    Py_XDECREF(bytes);
    return err;
}

static PyObject *device_load(device_t *self, PyObject *args) {
    PyObject *read = NULL;
    if (!PyArg_ParseTuple(args, "|O:load", &read)) {
        return NULL;
    }
    read = read == Py_None ? NULL : read;
    self->busy++;
    int err = tv_max78000_load(&self->dev, &self->plan, read ? read_weights : NULL, read);
    self->busy--;
    return answer(err);
}

static PyObject *device_rows(device_t *self, PyObject *args) {
    Py_buffer rows;
    unsigned y = 0;
    if (!PyArg_ParseTuple(args, "y*|I:rows", &rows, &y)) {
        return NULL;
    }
    Py_ssize_t row = (Py_ssize_t)self->plan.in_w * self->plan.in_c;
    int err = TV_MAX78000_ERR_ROWS;
    if (rows.len % row == 0 && rows.len / row <= self->plan.in_h) {
        err = tv_max78000_rows(&self->dev, &self->plan, rows.buf, y, (uint32_t)(rows.len / row));
    }
    PyBuffer_Release(&rows);
    return answer(err);
}

static int call_wait(void *ctx) {
    PyObject *result = PyObject_CallNoArgs(ctx);
    int stop = result == NULL || PyObject_IsTrue(result);
    Py_XDECREF(result);
    return stop;
}

static PyObject *device_run(device_t *self, PyObject *args) {
    unsigned polls = 0;
    PyObject *wait = NULL;
    if (!PyArg_ParseTuple(args, "|IO:run", &polls, &wait)) {
        return NULL;
    }
    wait = wait == Py_None ? NULL : wait;
    self->busy++;
    int err = tv_max78000_run(&self->dev, &self->plan, polls, wait ? call_wait : NULL, wait);
    self->busy--;
    return answer(err);
}

static PyObject *get_results(device_t *self, PyObject *args, bool wide) {
    const tv_max78000_plan_t *plan = &self->plan;
    Py_buffer out;
    if (!PyArg_ParseTuple(args, "w*:results", &out)) {
        return NULL;
    }
    Py_ssize_t need = (Py_ssize_t)plan->out_h * plan->out_w * plan->out_c * (wide ? 4 : 1);
    if (out.len != need || (wide && (uintptr_t)out.buf % 4)) {
        PyErr_Format(PyExc_ValueError, "the results are %zd bytes, the buffer has %zd", need, out.len);
        PyBuffer_Release(&out);
        return NULL;
    }
    int err = wide ? tv_max78000_results32(&self->dev, plan, out.buf) : tv_max78000_results(&self->dev, plan, plan->out_c, out.buf);
    PyBuffer_Release(&out);
    return answer(err);
}

static PyObject *device_results(device_t *self, PyObject *args) {
    return get_results(self, args, false);
}

static PyObject *device_results32(device_t *self, PyObject *args) {
    return get_results(self, args, true);
}

static PyObject *device_selftest(device_t *self, PyObject *args) {
    (void)args;
    int8_t *row = PyMem_Malloc((size_t)self->plan.fold * self->plan.in_w * self->plan.in_c);
    if (row == NULL) {
        return PyErr_NoMemory();
    }
    int err = tv_max78000_selftest(&self->dev, &self->plan, row, 0, NULL, NULL);
    PyMem_Free(row);
    return answer(err);
}

static PyObject *device_get(device_t *self, void *what) {
    const tv_max78000_plan_t *plan = &self->plan;
    switch (*(const char *)what) {
        case 'c':
            return PyLong_FromUnsignedLong(plan->cycles);
        case 'i':
            return Py_BuildValue("iii", plan->in_h, plan->in_w, plan->in_c);
        case 'o':
            return Py_BuildValue("iii", plan->out_h, plan->out_w, plan->out_c);
        default:
            return PyBytes_FromStringAndSize((const char *)plan->fingerprint, 8);
    }
}

static PyMethodDef device_methods[] = {
    { "use", (PyCFunction)device_use, METH_VARARGS, "use(plan): another plan from now on" },
    { "on", (PyCFunction)device_on, METH_NOARGS, "power and clock" },
    { "off", (PyCFunction)device_off, METH_VARARGS, "off(keep=False); keep: the weights stay" },
    { "load", (PyCFunction)device_load, METH_VARARGS,
      "load(read=None): registers, biases, weights; read(offset, size) gives those if the plan lacks them" },
    { "rows", (PyCFunction)device_rows, METH_VARARGS, "rows(int8, y=0): rows of the image" },
    { "run", (PyCFunction)device_run, METH_VARARGS, "run(polls=0, wait=None): one inference" },
    { "results", (PyCFunction)device_results, METH_VARARGS, "results(int8 out)" },
    { "results32", (PyCFunction)device_results32, METH_VARARGS, "results32(int32 out): before rescaling" },
    { "selftest", (PyCFunction)device_selftest, METH_NOARGS, "the plan's known-answer test" },
    { NULL, NULL, 0, NULL },
};

static PyGetSetDef device_attributes[] = {
    { "cycles", (getter)device_get, NULL, "of an inference, as the plan says", "c" },
    { "in_shape", (getter)device_get, NULL, "(rows, columns, channels) of the image", "i" },
    { "out_shape", (getter)device_get, NULL, "(rows, columns, channels) of the results", "o" },
    { "fingerprint", (getter)device_get, NULL, "identity of the encoder, 8 bytes", "f" },
    { NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot device_slots[] = {
    { Py_tp_doc, "Device(plan, simulator): the driver of the MAX78000's CNN accelerator" },
    { Py_tp_new, device_new },
    { Py_tp_dealloc, device_dealloc },
    { Py_tp_methods, device_methods },
    { Py_tp_getset, device_attributes },
    { 0, NULL },
};

static PyType_Spec device_spec = {
    "_tinyvlm_max78000.Device", sizeof(device_t), 0, Py_TPFLAGS_DEFAULT, device_slots,
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_tinyvlm_max78000", "The MAX78000's driver on its simulator", -1,
    NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__tinyvlm_max78000(void) {
    PyObject *module = PyModule_Create(&module_def);
    PyObject *simulator = PyType_FromSpec(&simulator_spec), *device = PyType_FromSpec(&device_spec);
    if (module == NULL || simulator == NULL || device == NULL
        || PyModule_AddObjectRef(module, "Simulator", simulator) < 0
        || PyModule_AddObjectRef(module, "Device", device) < 0
        || PyModule_AddIntConstant(module, "JAM_DONE", TV_M78_JAM_DONE) < 0
        || PyModule_AddIntConstant(module, "JAM_POWER", TV_M78_JAM_POWER) < 0
        || PyModule_AddIntConstant(module, "JAM_LATE", TV_M78_JAM_LATE) < 0
        || PyModule_AddIntConstant(module, "JAM_STUCK", TV_M78_JAM_STUCK) < 0
        || PyModule_AddIntConstant(module, "JAM_FORGET", TV_M78_JAM_FORGET) < 0) {
        Py_XDECREF(module);
        Py_XDECREF(simulator);
        Py_XDECREF(device);
        return NULL;
    }
    simulator_type = (PyTypeObject *)simulator;
    Py_DECREF(device);
    return module;
}
