/* Counts what Python allocates: between marks of the test, and in calls made from here. */
#include <Python.h>

static PyMemAllocatorEx inner[3];
static long counted;

static void *count_malloc(void *which, size_t n)
{
    counted++;
    PyMemAllocatorEx *a = which;
    return a->malloc(a->ctx, n);
}

static void *count_calloc(void *which, size_t n, size_t size)
{
    counted++;
    PyMemAllocatorEx *a = which;
    return a->calloc(a->ctx, n, size);
}

static void *count_realloc(void *which, void *old, size_t n)
{
    counted++;
    PyMemAllocatorEx *a = which;
    return a->realloc(a->ctx, old, n);
}

static void pass_free(void *which, void *old)
{
    PyMemAllocatorEx *a = which;
    a->free(a->ctx, old);
}

static const PyMemAllocatorDomain domains[3] = {
    PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

void install(void)
{
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator(domains[i], &inner[i]);
        PyMemAllocatorEx ours = {&inner[i], count_malloc, count_calloc, count_realloc, pass_free};
        PyMem_SetAllocator(domains[i], &ours);
    }
}

void uninstall(void)
{
    for (int i = 0; i < 3; i++)
        PyMem_SetAllocator(domains[i], &inner[i]);
}

static int run(PyObject *feed, PyObject *frames, PyObject *flush)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(frames); i++) {
        PyObject *taken = PyObject_CallOneArg(feed, PyList_GET_ITEM(frames, i));
        if (taken == NULL)
            return -1;
        Py_DECREF(taken);
    }
    PyObject *done = PyObject_CallNoArgs(flush);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    return 0;
}

/* Allocations in feed(frame) for each frame, then flush(); -1 where one raised. */
long allocations(PyObject *feed, PyObject *frames, PyObject *flush)
{
    const long before = counted;
    return run(feed, frames, flush) < 0 ? -1 : counted - before;
}

/* By how many a list grew meanwhile. */
long grown(PyObject *feed, PyObject *frames, PyObject *flush, PyObject *list)
{
    const Py_ssize_t before = PyList_GET_SIZE(list);
    return run(feed, frames, flush) < 0 ? -1 : PyList_GET_SIZE(list) - before;
}
