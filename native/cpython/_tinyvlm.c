// SPDX-License-Identifier: MIT
//
// The engine as a CPython extension: module `_tinyvlm`, the same names and errors as
// native/modtinyvlm.c gives MicroPython. A run releases the GIL.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

#include "constant.h"
#include "holds.h"
#include "tv.h"

typedef struct {
    PyObject_HEAD
    Py_buffer file;     // keeps the weights where they are
    tv_model_t model;
    void *arena;
    bool busy;          // the GIL is released while a frame runs; one arena, one frame
} encoder_t;

// What the hook needs; it runs without the GIL.
typedef struct {
    PyThreadState *thread;
    uint32_t *times;    // layers + 1 sums of ns, the intake first; or NULL
    uint64_t begin;
    uint64_t looked;    // when Ctrl-C was looked for
} hook_t;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int hook(void *ctx, int layer, bool end) {
    hook_t *h = ctx;
    if (!end) {
        if (h->times) {
            h->begin = now_ns();
        }
        return 0;
    }
    uint64_t now = now_ns();
    if (h->times) {
        h->times[layer + 1] += (uint32_t)(now - h->begin);
    }
    int stop = 0;
    if (now - h->looked > 5000000) {
        h->looked = now;
        PyEval_RestoreThread(h->thread);
        stop = PyErr_CheckSignals();
        h->thread = PyEval_SaveThread();
    }
    return stop;
}

static PyObject *file_error(const tv_model_t *m, int err) {
    size_t size;
    if (m->bad_layer < 0) {
        return PyErr_Format(PyExc_ValueError, "%s", tv_strerror(err));
    }
    const char *text = tv_layer_name(m, (unsigned)m->bad_layer, &size);
    PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "replace");
    if (name != NULL) {
        PyErr_Format(PyExc_ValueError, "layer %d (%U): %s", m->bad_layer, name, tv_strerror(err));
        Py_DECREF(name);
    }
    return NULL;
}

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_buffer file;
    static char *keywords[] = { "buffer", NULL };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*:Encoder", keywords, &file) || make_constant(&file) < 0) {
        return NULL;
    }
    encoder_t *self = (encoder_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        PyBuffer_Release(&file);
        return NULL;
    }
    self->file = file;
    hook_t h = { .looked = now_ns() };
    h.thread = PyEval_SaveThread();
    int err = tv_model_open(&self->model, file.buf, (size_t)file.len, hook, &h);
    PyEval_RestoreThread(h.thread);
    if (err) {
        if (err != TV_ERR_STOPPED) { // by a signal handler's exception
            file_error(&self->model, err);
        }
        Py_DECREF(self);
        return NULL;
    }
    self->arena = PyMem_Malloc(self->model.arena_size);
    if (self->arena == NULL) {
        PyErr_Format(PyExc_MemoryError, "the encoder needs an arena of %u bytes", self->model.arena_size);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void encoder_dealloc(encoder_t *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(self->arena);
    PyBuffer_Release(&self->file);
    type->tp_free(self);
    Py_DECREF(type);
}

// Integers from Python to a frame; the buffer is filled in by the caller. -1: exception is set.
static int make_frame(tv_frame_t *frame, const Py_buffer *buf, const Py_ssize_t n[4]) {
    static const char *const names[] = { "width", "height", "format", "stride" };
    for (int i = 0; i < 4; i++) {
        if (n[i] < 0 || n[i] > (i == 2 ? 255 : INT32_MAX)) {
            PyErr_Format(PyExc_ValueError, "%s %zd is out of range", names[i], n[i]);
            return -1;
        }
    }
    *frame = (tv_frame_t) {
        .data = buf->buf, .size = (size_t)buf->len, .width = (uint32_t)n[0],
        .height = (uint32_t)n[1], .format = (uint8_t)n[2], .stride = (uint32_t)n[3],
    };
    uint64_t need;
    int err = tv_frame_check(frame, &need);
    if (err == TV_ERR_FRAME_SHORT) {
        PyErr_Format(PyExc_ValueError, "the frame needs %llu bytes, the buffer has %zd",
            (unsigned long long)need, buf->len);
    } else if (err) {
        PyErr_SetString(PyExc_ValueError, tv_strerror(err));
    }
    return err ? -1 : 0;
}

static int check_size(const char *name, const Py_buffer *buf, uint64_t count, uint64_t item) {
    if (buf->itemsize > (Py_ssize_t)item) { // floats, say, whose bytes would be taken for int8
        PyErr_Format(PyExc_ValueError, "%s must have items of %llu byte%s, these have %zd bytes", name,
            (unsigned long long)item, item == 1 ? "" : "s", buf->itemsize);
        return -1;
    }
    if (tv_holds((size_t)buf->len, count, item)) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "%s needs %llu byte%s, the buffer has %zd", name,
        (unsigned long long)(count * item), count * item == 1 ? "" : "s", buf->len);
    return -1;
}

// How many of the `most` dimensions of an embedding a buffer has room for, or 0 after an exception.
static size_t room_for(const Py_buffer *out, size_t most) {
    if (check_size("the embedding", out, 1, 1) < 0) {
        return 0;
    }
    return (size_t)out->len < most ? (size_t)out->len : most;
}

// The frame, or the known-answer image if frame is NULL. Returns 0, an engine error, or 1 if
// a Python exception is set.
static int run(encoder_t *self, tv_frame_t *frame, size_t dim, int8_t *out, int8_t *map, uint32_t *times) {
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the encoder is busy with a frame; use one Encoder per thread");
        return 1;
    }
    self->busy = true;
    hook_t h = { .times = times, .looked = now_ns() };
    h.thread = PyEval_SaveThread();
    int err = frame
        ? tv_run(&self->model, frame, self->arena, (uint32_t)dim, out, map, hook, &h)
        : tv_selftest(&self->model, self->arena, out, hook, &h);
    PyEval_RestoreThread(h.thread);
    self->busy = false;
    if (err == TV_ERR_STOPPED) {
        return 1; // by a signal handler's exception
    }
    if (err == TV_ERR_NO_MAP) {
        PyErr_SetString(PyExc_ValueError, tv_strerror(err));
        return 1;
    }
    return err;
}

static PyObject *encoder_embed(encoder_t *self, PyObject *args) {
    Py_buffer buf, out;
    Py_ssize_t n[4];
    if (!PyArg_ParseTuple(args, "y*nnnnw*:embed", &buf, &n[0], &n[1], &n[2], &n[3], &out)) {
        return NULL;
    }
    tv_frame_t frame;
    size_t dim = 0;
    bool ok = make_frame(&frame, &buf, n) == 0 && (dim = room_for(&out, self->model.dim)) > 0
        && run(self, &frame, dim, out.buf, NULL, NULL) == 0;
    PyBuffer_Release(&buf);
    PyBuffer_Release(&out);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *encoder_embed_map(encoder_t *self, PyObject *args) {
    Py_buffer buf, out, map;
    Py_ssize_t n[4];
    if (!PyArg_ParseTuple(args, "y*nnnnw*w*:embed_map", &buf, &n[0], &n[1], &n[2], &n[3], &out, &map)) {
        return NULL;
    }
    const tv_model_t *m = &self->model;
    tv_frame_t frame;
    size_t dim = 0;
    bool ok = make_frame(&frame, &buf, n) == 0 && (dim = room_for(&out, m->dim)) > 0
        && check_size("the map", &map, (uint32_t)m->map_h * m->map_w, dim) == 0
        && run(self, &frame, dim, out.buf, map.buf, NULL) == 0;
    PyBuffer_Release(&buf);
    PyBuffer_Release(&out);
    PyBuffer_Release(&map);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *encoder_profile(encoder_t *self, PyObject *args) {
    Py_buffer buf, out;
    Py_ssize_t n[4];
    if (!PyArg_ParseTuple(args, "y*nnnnw*:profile", &buf, &n[0], &n[1], &n[2], &n[3], &out)) {
        return NULL;
    }
    size_t count = self->model.layers + 1u;
    tv_frame_t frame;
    int8_t *embedding = PyMem_Malloc(self->model.dim);
    uint32_t *times = PyMem_Calloc(count, sizeof(*times));
    bool ok = false;
    if (embedding == NULL || times == NULL) {
        PyErr_NoMemory();
    } else {
        ok = make_frame(&frame, &buf, n) == 0
            && check_size("the profile", &out, count, sizeof(*times)) == 0
            && run(self, &frame, self->model.dim, embedding, NULL, times) == 0;
    }
    if (ok) {
        memcpy(out.buf, times, count * sizeof(*times));
    }
    PyMem_Free(embedding);
    PyMem_Free(times);
    PyBuffer_Release(&buf);
    PyBuffer_Release(&out);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *encoder_selftest(encoder_t *self, PyObject *Py_UNUSED(ignored)) {
    const tv_model_t *m = &self->model;
    int8_t *embedding = PyMem_Malloc(m->dim);
    if (embedding == NULL) {
        return PyErr_NoMemory();
    }
    int err = run(self, NULL, self->model.dim, embedding, NULL, NULL);
    if (err == TV_ERR_TEST) {
        unsigned differ = 0, first = 0;
        const int8_t *want = (const int8_t *)m->test + 4;
        for (unsigned i = m->dim; i-- > 0;) {
            if (embedding[i] != want[i]) {
                differ++;
                first = i;
            }
        }
        PyErr_Format(PyExc_RuntimeError, "the embedding of the test image differs from the file's: "
            "%u of %u dimensions, the first is dimension %u, %d instead of %d",
            differ, m->dim, first, embedding[first], want[first]);
    } else if (err < 0) {
        PyErr_SetString(PyExc_RuntimeError, tv_strerror(err));
    }
    PyMem_Free(embedding);
    return err ? NULL : Py_NewRef(Py_True);
}

static PyObject *encoder_layer(encoder_t *self, PyObject *arg) {
    Py_ssize_t index = PyNumber_AsSsize_t(arg, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (index < 0 || index >= self->model.layers) {
        return PyErr_Format(PyExc_IndexError, "layer %zd of %u", index, self->model.layers);
    }
    tv_layer_t l;
    size_t size;
    tv_layer_get(&self->model, (unsigned)index, &l);
    const char *text = tv_layer_name(&self->model, (unsigned)index, &size);
    PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "replace");
    return name == NULL ? NULL : Py_BuildValue("Ns(HHH)(HHH)K", name, tv_op_name(l.op),
        l.in_h, l.in_w, l.in_c, l.out_h, l.out_w, l.out_c, (unsigned long long)tv_layer_macs(&l));
}

enum { SIZE, DIM, MAP, ARENA, MACS, FINGERPRINT, INFO, BACKEND, LAYERS };

static PyObject *encoder_get(encoder_t *self, void *which) {
    const tv_model_t *m = &self->model;
    switch ((intptr_t)which) {
        case SIZE:
            return PyLong_FromLong(m->image);
        case DIM:
            return PyLong_FromLong(m->dim);
        case MAP:
            return m->map_h ? Py_BuildValue("HH", m->map_h, m->map_w) : Py_NewRef(Py_None);
        case ARENA:
            return PyLong_FromUnsignedLong(m->arena_size);
        case MACS:
            return PyLong_FromUnsignedLong(m->macs);
        case FINGERPRINT:
            return PyBytes_FromStringAndSize((const char *)m->fingerprint, 8);
        case INFO:
            return m->info == NULL ? PyUnicode_FromString("{}")
                : PyUnicode_DecodeUTF8((const char *)m->info, m->info_size, "replace");
        case BACKEND:
            return PyUnicode_FromString(tv_backend_name(m->backend));
        default:
            return PyLong_FromLong(m->layers);
    }
}

#define GET(name, which, doc) { name, (getter)encoder_get, NULL, doc, (void *)(intptr_t)which }

static PyGetSetDef encoder_getset[] = {
    GET("size", SIZE, "side of the image the encoder sees, in pixels"),
    GET("dim", DIM, "dimensions of an embedding"),
    GET("map", MAP, "(height, width) of the dense map, or None"),
    GET("arena", ARENA, "bytes of RAM for one frame"),
    GET("macs", MACS, "multiply-accumulates of one embedding"),
    GET("fingerprint", FINGERPRINT, "8 bytes, the identity of the network"),
    GET("info", INFO, "what the file says about itself, JSON"),
    GET("backend", BACKEND, "name of the kernels in use; a PC has only \"portable\""),
    GET("layers", LAYERS, "count of layers"),
    { NULL },
};

static PyMethodDef encoder_methods[] = {
    { "embed", (PyCFunction)encoder_embed, METH_VARARGS,
      "embed(buf, width, height, format, stride, out): the embedding of a frame, int8, into out: as many of its dimensions as there is room for" },
    { "embed_map", (PyCFunction)encoder_embed_map, METH_VARARGS,
      "embed_map(buf, width, height, format, stride, out, map_out): and the dense map, with as many dimensions" },
    { "profile", (PyCFunction)encoder_profile, METH_VARARGS,
      "profile(buf, width, height, format, stride, out): ns of intake and layers, u32 each" },
    { "selftest", (PyCFunction)encoder_selftest, METH_NOARGS,
      "selftest() -> True, or RuntimeError: does this machine compute what the file expects?" },
    { "layer", (PyCFunction)encoder_layer, METH_O,
      "layer(i) -> (name, op, (in h, w, c), (out h, w, c), macs)" },
    { NULL },
};

static PyType_Slot encoder_slots[] = {
    { Py_tp_new, encoder_new },
    { Py_tp_dealloc, encoder_dealloc },
    { Py_tp_methods, encoder_methods },
    { Py_tp_getset, encoder_getset },
    { Py_tp_doc, "Encoder(buffer): an opened .tvlm; bytes are used in place, all else is copied" },
    { 0, NULL },
};

static PyType_Spec encoder_spec = {
    .name = "_tinyvlm.Encoder",
    .basicsize = sizeof(encoder_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = encoder_slots,
};

static int check_array(const char *name, const Py_buffer *buf, size_t count, size_t item) {
    if (check_size(name, buf, count, item) < 0) {
        return -1;
    }
    if ((uintptr_t)buf->buf % item) {
        PyErr_Format(PyExc_ValueError, "%s must be aligned, an array", name);
        return -1;
    }
    return 0;
}

// Are items of 4 bytes numbers of another kind? Arguments were parsed without asking for that.
static bool no_floats(const Py_buffer *buf) {
    Py_buffer asked;
    if (buf->itemsize != sizeof(float) || buf->obj == NULL) {
        return false;
    }
    if (PyObject_GetBuffer(buf->obj, &asked, PyBUF_FORMAT) != 0) {
        PyErr_Clear();
        return false;
    }
    bool found = asked.format == NULL || strchr(asked.format, 'f') == NULL;
    PyBuffer_Release(&asked);
    return found;
}

static int check_floats(const char *name, const Py_buffer *buf, uint64_t count) {
    if (check_array(name, buf, count, sizeof(float)) < 0) {
        return -1;
    }
    if (no_floats(buf)) {
        PyErr_Format(PyExc_ValueError, "%s must be an array('f'), of floats", name);
        return -1;
    }
    return 0;
}

// What is written must not share memory with something else that the call uses.
static int check_apart(const char *name, const Py_buffer *written, size_t size,
    const char *other, const Py_buffer *used, size_t used_size) {
    uintptr_t a = (uintptr_t)written->buf, b = (uintptr_t)used->buf;
    if (size > 0 && used_size > 0 && a < b + used_size && b < a + size) {
        PyErr_Format(PyExc_ValueError, "%s and %s must not share memory", name, other);
        return -1;
    }
    return 0;
}

typedef struct {
    Py_ssize_t rows, stored_dim, bits, dim;
} vectors_t;

static int check_vectors(const vectors_t *v, const Py_buffer *vectors) {
    if (v->rows < 0 || v->rows > INT32_MAX || (v->bits != 4 && v->bits != 8)
        || v->dim < 1 || v->dim > v->stored_dim || v->stored_dim > UINT16_MAX) {
        PyErr_Format(PyExc_ValueError, "cannot score %zd rows with %zd of %zd dimensions of %zd bits",
            v->rows, v->dim, v->stored_dim, v->bits);
        return -1;
    }
    return check_size("vectors", vectors,
        (size_t)v->rows, tv_vector_size((size_t)v->stored_dim, (int)v->bits));
}

static int check_count(const char *name, Py_ssize_t count, Py_ssize_t most) {
    if (count < 0 || count > most) {
        PyErr_Format(PyExc_ValueError, "%s %zd is not in 0 ... %zd", name, count, most);
        return -1;
    }
    return 0;
}

// Dimensions of a cell of the map, or 0 after an exception.
static size_t check_map(const Py_buffer *map, Py_ssize_t cells, Py_ssize_t dim) {
    if (check_count("cells", cells, TV_MAX_CELLS) < 0) {
        return 0;
    }
    if (cells < 1 || map->len % cells || map->len / cells < dim) {
        PyErr_Format(PyExc_ValueError, "a map of %zd bytes has not %zd cells of %zd dimensions",
            map->len, cells, dim);
        return 0;
    }
    return (size_t)(map->len / cells);
}

static void release(Py_buffer *bufs, int count) {
    for (int i = 0; i < count; i++) {
        PyBuffer_Release(&bufs[i]);
    }
}

static PyObject *score(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[3]; // embedding, vectors, out
    vectors_t v;
    if (!PyArg_ParseTuple(args, "y*y*nnnnw*:score", &b[0], &b[1], &v.rows, &v.stored_dim,
        &v.bits, &v.dim, &b[2])) {
        return NULL;
    }
    bool ok = check_vectors(&v, &b[1]) == 0
        && check_size("the embedding", &b[0], (size_t)v.dim, 1) == 0
        && check_floats("out", &b[2], (size_t)v.rows) == 0;
    if (ok) {
        tv_score(b[0].buf, b[1].buf, (size_t)v.rows, (size_t)v.stored_dim, (int)v.bits, (size_t)v.dim, b[2].buf,
            NULL, NULL);
    }
    release(b, 3);
    return ok ? Py_NewRef(Py_None) : NULL;
}

// An array('H') of row indices.
static int check_index(const Py_buffer *buf, size_t count, size_t rows) {
    if (check_array("index", buf, count, sizeof(uint16_t)) < 0) {
        return -1;
    }
    const uint16_t *index = buf->buf;
    for (size_t i = 0; i < count; i++) {
        if (index[i] >= rows) {
            PyErr_Format(PyExc_ValueError, "row %d of %zu", (int)index[i], rows);
            return -1;
        }
    }
    return 0;
}

static PyObject *weigh(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[3]; // cosines, index, factors
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "w*y*ny*:weigh", &b[0], &b[1], &count, &b[2])) {
        return NULL;
    }
    bool ok = check_floats("cosines", &b[0], 0) == 0
        && check_count("count", count, UINT16_MAX) == 0
        && check_index(&b[1], (size_t)count, (size_t)b[0].len / sizeof(float)) == 0
        && check_floats("factors", &b[2], (size_t)count) == 0
        && check_apart("cosines", &b[0], (size_t)b[0].len, "index", &b[1], (size_t)count * sizeof(uint16_t)) == 0
        && check_apart("cosines", &b[0], (size_t)b[0].len, "factors", &b[2], (size_t)count * sizeof(float)) == 0;
    if (ok) {
        tv_weigh(b[0].buf, b[1].buf, (size_t)count, b[2].buf);
    }
    release(b, 3);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *largest(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[2]; // values, index
    Py_ssize_t rows, count;
    if (!PyArg_ParseTuple(args, "y*nnw*:largest", &b[0], &rows, &count, &b[1])) {
        return NULL;
    }
    bool ok = check_count("rows", rows, UINT16_MAX + 1) == 0 && check_count("count", count, UINT16_MAX) == 0
        && check_floats("values", &b[0], (size_t)rows) == 0
        && check_array("index", &b[1], (size_t)count, sizeof(uint16_t)) == 0;
    size_t found = ok ? tv_largest(b[0].buf, (size_t)rows, (size_t)count, b[1].buf) : 0;
    release(b, 2);
    return ok ? PyLong_FromSize_t(found) : NULL;
}

static PyObject *rank(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[4]; // cosines, scores, index, how
    Py_ssize_t labels, rows, count;
    if (!PyArg_ParseTuple(args, "y*nny*w*nw*:rank", &b[0], &labels, &rows, &b[3], &b[1], &count, &b[2])) {
        return NULL;
    }
    bool ok = check_count("rows", rows, UINT16_MAX * 2) == 0
        && check_count("labels", labels, rows < UINT16_MAX ? rows : UINT16_MAX) == 0
        && check_count("count", count, UINT16_MAX) == 0
        && check_floats("cosines", &b[0], (size_t)rows) == 0
        && check_floats("scores", &b[1], (size_t)labels) == 0
        && check_array("index", &b[2], (size_t)count, sizeof(uint16_t)) == 0
        && check_floats("scale, threshold and none", &b[3], 3) == 0;
    size_t size = (size_t)labels * sizeof(float), list = (size_t)count * sizeof(uint16_t);
    ok = ok && check_apart("scores", &b[1], size, "cosines", &b[0], (size_t)rows * sizeof(float)) == 0
        && check_apart("scores", &b[1], size, "index", &b[2], list) == 0
        && check_apart("index", &b[2], list, "cosines", &b[0], (size_t)rows * sizeof(float)) == 0;
    const float *how = b[3].buf;
    size_t found = ok ? tv_rank(b[0].buf, (size_t)labels, (size_t)rows, how[0], how[1], how[2],
        b[1].buf, (size_t)count, b[2].buf) : 0;
    release(b, 4);
    return ok ? PyLong_FromSize_t(found) : NULL;
}

static PyObject *best(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[7]; // embedding, vectors, index, scores, shown, gains, how
    vectors_t v;
    Py_ssize_t labels, count, shown;
    if (!PyArg_ParseTuple(args, "y*y*nnnnny*ny*y*nw*w*:best", &b[0], &b[1], &labels, &v.rows, &v.stored_dim,
        &v.bits, &v.dim, &b[4], &shown, &b[5], &b[6], &count, &b[2], &b[3])) {
        return NULL;
    }
    bool ok = check_vectors(&v, &b[1]) == 0
        && check_count("rows", v.rows, UINT16_MAX * 2) == 0
        && check_count("labels", labels, v.rows < UINT16_MAX ? v.rows : UINT16_MAX) == 0
        && check_count("count", count, UINT16_MAX) == 0
        && check_count("shown", shown, labels) == 0
        && check_size("the embedding", &b[0], (size_t)v.dim, 1) == 0
        && check_array("index", &b[2], (size_t)count, sizeof(uint16_t)) == 0
        && check_floats("scores", &b[3], (size_t)count) == 0
        && check_array("shown", &b[4], (size_t)shown, sizeof(uint16_t)) == 0
        && check_floats("gains", &b[5], (size_t)shown) == 0
        && check_floats("scale, threshold and none", &b[6], 3) == 0;
    size_t found = 0;
    if (ok) {
        const float *how = b[6].buf;
        const tv_prototypes_t p = {
            .vectors = b[1].buf, .labels = (size_t)labels, .rows = (size_t)v.rows,
            .stored_dim = (size_t)v.stored_dim, .dim = (size_t)v.dim, .bits = (int)v.bits,
            .shown = b[4].buf, .shown_count = (size_t)shown, .gains = b[5].buf,
        };
        found = tv_best(b[0].buf, &p, how[0], how[1], how[2], (size_t)count, b[2].buf, b[3].buf);
    }
    release(b, 7);
    return ok ? PyLong_FromSize_t(found) : NULL;
}

static PyObject *map_peaks(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[5]; // map, vectors, cosines, peaks, levels
    vectors_t v;
    Py_ssize_t cells;
    if (!PyArg_ParseTuple(args, "y*ny*nnnnw*w*w*:map_peaks", &b[0], &cells, &b[1], &v.rows,
        &v.stored_dim, &v.bits, &v.dim, &b[2], &b[3], &b[4])) {
        return NULL;
    }
    size_t map_dim = 0;
    bool ok = check_vectors(&v, &b[1]) == 0 && (map_dim = check_map(&b[0], cells, v.dim)) > 0
        && check_floats("cosines", &b[2], (size_t)v.rows) == 0
        && check_floats("peaks", &b[3], (size_t)v.rows) == 0
        && check_floats("levels", &b[4], 2 * (size_t)cells) == 0;
    if (ok) {
        tv_map_peaks(b[0].buf, (size_t)cells, map_dim, b[1].buf, (size_t)v.rows, (size_t)v.stored_dim,
            (int)v.bits, (size_t)v.dim, b[2].buf, b[3].buf, b[4].buf, NULL, NULL);
    }
    release(b, 5);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *map_heat(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[4]; // map, vectors, levels, heat
    vectors_t v;
    Py_ssize_t cells, row;
    if (!PyArg_ParseTuple(args, "y*ny*nnnny*w*:map_heat", &b[0], &cells, &b[1], &row,
        &v.stored_dim, &v.bits, &v.dim, &b[2], &b[3])) {
        return NULL;
    }
    size_t map_dim = 0;
    bool ok = true;
    if (row < 0 || row >= INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "rows count from 0");
        ok = false;
    }
    v.rows = row + 1; // the last of these rows
    ok = ok && check_vectors(&v, &b[1]) == 0 && (map_dim = check_map(&b[0], cells, v.dim)) > 0
        && check_floats("levels", &b[2], 2 * (size_t)cells) == 0
        && check_floats("heat", &b[3], (size_t)cells) == 0;
    if (ok) {
        const uint8_t *vector = (const uint8_t *)b[1].buf
            + (size_t)row * tv_vector_size((size_t)v.stored_dim, (int)v.bits);
        tv_map_heat(b[0].buf, (size_t)cells, map_dim, vector, (size_t)v.stored_dim, (int)v.bits,
            (size_t)v.dim, b[2].buf, b[3].buf);
    }
    release(b, 4);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *map_mean(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[3]; // map, mask, embedding
    Py_ssize_t cells;
    if (!PyArg_ParseTuple(args, "y*ny*w*:map_mean", &b[0], &cells, &b[1], &b[2])) {
        return NULL;
    }
    size_t map_dim = check_map(&b[0], cells, 1);
    size_t dim = map_dim > 0 ? room_for(&b[2], map_dim) : 0;
    bool ok = dim > 0 && check_size("the mask", &b[1], (size_t)cells, 1) == 0;
    if (ok) {
        tv_map_mean(b[0].buf, (size_t)cells, map_dim, b[1].buf, dim, b[2].buf);
    }
    release(b, 3);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *map_region(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer b[3]; // heat, mask, box
    Py_ssize_t height, width, side;
    if (!PyArg_ParseTuple(args, "y*nnnw*w*:map_region", &b[0], &height, &width, &side, &b[1], &b[2])) {
        return NULL;
    }
    bool ok = check_count("height", height, 255) == 0 && check_count("width", width, 255) == 0
        && check_count("side", side, UINT16_MAX) == 0;
    if (ok && (height == 0 || width == 0)) {
        PyErr_SetString(PyExc_ValueError, "a map has cells");
        ok = false;
    }
    ok = ok && check_floats("heat", &b[0], (size_t)(height * width)) == 0
        && check_size("the mask", &b[1], (size_t)height, (size_t)width) == 0
        && check_array("box", &b[2], 4, sizeof(uint16_t)) == 0;
    if (ok) {
        tv_map_region(b[0].buf, (size_t)height, (size_t)width, (uint32_t)side, b[1].buf, b[2].buf);
    }
    release(b, 3);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *crc32(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer buf;
    unsigned long crc = 0;
    if (!PyArg_ParseTuple(args, "y*|k:crc32", &buf, &crc)) {
        return NULL;
    }
    crc = tv_crc32((uint32_t)crc, buf.buf, (size_t)buf.len);
    PyBuffer_Release(&buf);
    return PyLong_FromUnsignedLong(crc);
}

static PyMethodDef module_methods[] = {
    { "score", score, METH_VARARGS,
      "score(embedding, vectors, rows, stored_dim, bits, dim, out): cosines into out, an array('f')" },
    { "weigh", weigh, METH_VARARGS,
      "weigh(cosines, index, count, factors): multiply the cosines of the rows in an array('H') by "
      "those in an array('f')" },
    { "largest", largest, METH_VARARGS,
      "largest(values, rows, count, index) -> how many: the rows of the largest values in order" },
    { "rank", rank, METH_VARARGS,
      "rank(cosines, labels, rows, how, scores, count, index) -> how many labels count: how: array('f') "
      "of scale, threshold and the cosine of none, below -1 without; the softmax, into an array('f'), and the "
      "nearest labels in order, into an array('H')" },
    { "best", best, METH_VARARGS,
      "best(embedding, vectors, labels, rows, stored_dim, bits, dim, shown, shown_count, gains, how, count, "
      "index, scores) -> how many labels count: the nearest in order, into an array('H'), and their scores, "
      "into an array('f'); how: as for rank; shown: array('H'), ascending; gains: array('f')" },
    { "map_peaks", map_peaks, METH_VARARGS,
      "map_peaks(map, cells, vectors, rows, stored_dim, bits, dim, cosines, peaks, levels): "
      "every row's highest heat in a dense map; levels is for map_heat" },
    { "map_heat", map_heat, METH_VARARGS,
      "map_heat(map, cells, vectors, row, stored_dim, bits, dim, levels, heat): one row's heat" },
    { "map_mean", map_mean, METH_VARARGS,
      "map_mean(map, cells, mask, out): the embedding of the cells whose mask is not 0" },
    { "map_region", map_region, METH_VARARGS,
      "map_region(heat, height, width, side, mask, box): the warm cells around the warmest "
      "one, and the box around them, an array('H') of x, y, width, height" },
    { "crc32", crc32, METH_VARARGS, "crc32(buf, crc=0) -> int, as zlib's" },
    { NULL },
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromSpec(&encoder_spec);
    if (type == NULL || PyModule_AddObjectRef(module, "Encoder", type) < 0) {
        Py_XDECREF(type);
        return -1;
    }
    Py_DECREF(type);
    return PyModule_AddIntConstant(module, "GRAY8", TV_GRAY8)
           || PyModule_AddIntConstant(module, "RGB565_LE", TV_RGB565_LE)
           || PyModule_AddIntConstant(module, "RGB565_BE", TV_RGB565_BE)
           || PyModule_AddIntConstant(module, "RGB888", TV_RGB888)
           || PyModule_AddIntConstant(module, "BGR888", TV_BGR888)
           || PyModule_AddIntConstant(module, "YUYV", TV_YUYV) ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {
    { Py_mod_exec, module_exec },
    { 0, NULL },
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_tinyvlm",
    .m_doc = "tinyvlm's engine, the C code that runs on the boards",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__tinyvlm(void);

PyMODINIT_FUNC PyInit__tinyvlm(void) {
    return PyModuleDef_Init(&module_def);
}
