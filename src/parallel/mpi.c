/* Ranks of MPI (the standard's chapters 3 and 5): a module that is loaded when mpirun has started the process. */
#define OMPI_SKIP_MPICXX 1
#include <clgrad/ranks.h>

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>

CG_API cg_status cg_mpi_open(cg_ranks *ranks) CG_MUST_USE;

/* What MPI says of a call; its own handler would end the process. */
static cg_status check(const char *call, int code) {
    char words[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) {
        return CG_OK;
    }
    MPI_Error_string(code, words, &length);
    return cg_fail(CG_ERR_DEVICE, "%s: %s", call, words);
}

static cg_status begin(MPI_Request **made, void **request) {
    *made = malloc(sizeof **made);
    *request = *made;
    return *made != NULL ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
}

static cg_status fits(size_t n) {
    return n <= INT_MAX ? CG_OK : cg_fail(CG_ERR_ARGUMENT, "%zu numbers at once: MPI takes %d", n, INT_MAX);
}

static cg_status begin_sum(void *context, void *values, size_t n, cg_dtype dtype, void **request) {
    (void)context;
    MPI_Request *made;
    CG_TRY(fits(n));
    CG_TRY(begin(&made, request));
    MPI_Datatype type = dtype == CG_F64 ? MPI_DOUBLE : MPI_FLOAT;
    return check("MPI_Iallreduce", MPI_Iallreduce(MPI_IN_PLACE, values, (int)n, type, MPI_SUM, MPI_COMM_WORLD, made));
}

static cg_status begin_broadcast(void *context, void *bytes, size_t size, void **request) {
    (void)context;
    MPI_Request *made;
    CG_TRY(fits(size));
    CG_TRY(begin(&made, request));
    return check("MPI_Ibcast", MPI_Ibcast(bytes, (int)size, MPI_BYTE, 0, MPI_COMM_WORLD, made));
}

static cg_status test(void *context, void *request, bool *ended) {
    (void)context;
    int flag = 0;
    cg_status status = check("MPI_Test", MPI_Test(request, &flag, MPI_STATUS_IGNORE));
    *ended = flag != 0;
    if (*ended || status != CG_OK) {
        free(request);
    }
    return status;
}

static void end_all(void *context, int exit_status) {
    (void)context;
    MPI_Abort(MPI_COMM_WORLD, exit_status);
}

static void close_ranks(void *context) {
    (void)context;
    MPI_Finalize();
}

/* Ranks that share memory are on one machine. */
static cg_status find_local(int *local) {
    MPI_Comm machine;
    CG_TRY(check("MPI_Comm_split_type",
                 MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine)));
    cg_status status = check("MPI_Comm_rank", MPI_Comm_rank(machine, local));
    MPI_Comm_free(&machine);
    return status;
}

cg_status cg_mpi_open(cg_ranks *ranks) {
    int begun = 0, provided;
    MPI_Initialized(&begun);
    if (!begun) {
        CG_TRY(check("MPI_Init_thread", MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided)));
    }
    *ranks = (cg_ranks){.begin_sum = begin_sum,
                        .begin_broadcast = begin_broadcast,
                        .test = test,
                        .abort = end_all,
                        .close = close_ranks};
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    CG_TRY(check("MPI_Comm_rank", MPI_Comm_rank(MPI_COMM_WORLD, &ranks->rank)));
    CG_TRY(check("MPI_Comm_size", MPI_Comm_size(MPI_COMM_WORLD, &ranks->count)));
    return find_local(&ranks->local);
}
