/* Known faults of drivers: one table. Each was seen by running it, or is told by the link. */
#include <clgrad/check.h>

#include <string.h>
#include <strings.h>

static const cg_quirk quirks[] = {
    {"pocl", "", "aborts the process when host memory runs out: clgrad keeps count and refuses first",
     "an assertion in pocl_create_migration_commands; POCL_MEMORY_LIMIT lowers what is reported, not what is granted"},
    {"pocl", "", "a damaged file in its kernel cache aborts the process: delete POCL_CACHE_DIR (~/.cache/pocl/kcache)",
     "cut a cached .so short and start again"},
    {"rusticl", "", "runs kernels that need more local memory than it says it has: clgrad refuses them",
     "40 KiB of __local on a device of 32 KiB"},
    {"rusticl", "", "counts local arrays twice in CL_KERNEL_LOCAL_MEM_SIZE (Mesa 22.3)",
     "two arrays of 4352 bytes are reported as 17408"},
    {"rusticl", "", "crashes when a kernel indexes an array in a struct argument by a variable: ours do not",
     "Mesa 22.3 with llvmpipe"},
    {"clover", "", "aborts the process when a program is built (LLVM's opaque pointers)", "Mesa 22.3"},
    {"oclgrind", "", "a simulator, thousands of times slower than a device: never chosen by auto",
     "https://github.com/jrprice/Oclgrind"},
    {"intel-r--opencl-graphics", "", "SGEMM was wrong on Arc A770 with CLBlast before 1.6.3: CLGRAD_GEMM=own",
     "https://github.com/CNugteren/CLBlast/issues/533"},
    {"amd", "", "CLBlast was wrong for one shape on RX 5700 (complex numbers, which clgrad does not use)",
     "https://github.com/CNugteren/CLBlast/issues/669"},
};

size_t cg_device_quirks(const cg_device_info *info, cg_quirk *found, size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++) {
        if (strcasecmp(quirks[i].driver, info->driver) == 0 &&
            strstr(info->driver_version, quirks[i].version) != NULL) {
            if (count < capacity) {
                found[count] = quirks[i];
            }
            count++;
        }
    }
    return count;
}
