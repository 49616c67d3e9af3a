/* A shared object that is no backend. */
int some_other_library(void);

int some_other_library(void) {
    return 42;
}
