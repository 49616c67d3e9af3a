/* Indices that come from data: which are in range, and how one that is not is reported. */

/* As unsigned a negative class is too large. (rusticl gets class >= 0 wrong after int became long.) */
static inline bool in_range(long class, ulong classes) {
    return (ulong)class < classes;
}

/* Reports a class that is out of range. errors: the op's number (as an int), then row, class, number of classes. */
static inline void report(__global long *errors, int number, ulong row, long class, ulong classes) {
    if (!in_range(class, classes) && atomic_cmpxchg((volatile __global int *)errors, 0, number) == 0) {
        errors[1] = (long)row;
        errors[2] = class;
        errors[3] = (long)classes;
    }
}
