/* Cases of what moves or draws elements: copies, casts, indices, cumulative sums, random numbers. See twin.h. */
#include "twin.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

bool twin_build_copy(twin *t, int variant) {
    static const int64_t sizes[] = {1, 13, 200003};
    if (variant >= COUNT(sizes)) {
        return false;
    }
    twin_input(t, CG_SHAPE(sizes[variant]));
    twin_output(t, CG_SHAPE(sizes[variant]));
    return true;
}

/* Operands as a strided copy or a cast has them, of any data type. */
static void input_of(twin *t, cg_dtype dtype, int64_t extent, int64_t limit) {
    if (dtype == CG_F32) {
        twin_input(t, CG_SHAPE(extent));
    } else {
        twin_integer_input(t, dtype, CG_SHAPE(extent), limit);
    }
}

static void output_of(twin *t, cg_dtype dtype, int64_t extent) {
    if (dtype == CG_F32) {
        twin_output(t, CG_SHAPE(extent));
    } else {
        twin_integer_output(t, dtype, CG_SHAPE(extent), 100);
    }
}

typedef struct strided_case {
    cg_strided_attrs attrs;
    int64_t in, out; /* elements of both sides */
} strided_case;

/* A single element, every other one, a transposition, a slice into a larger tensor, a reversal, a repetition, many
 * axes, more than one share of rows, and of a row. */
static const strided_case strided_cases[] = {
    {{.rank = 0, .from = 2, .to = 1}, 3, 2},
    {{.rank = 1, .from = 1, .dim = {7}, .in = {2}, .out = {1}}, 14, 7},
    {{.rank = 2, .dim = {5, 7}, .in = {1, 5}, .out = {7, 1}}, 35, 35},
    {{.rank = 2, .from = 3, .to = 12, .dim = {4, 6}, .in = {9, 1}, .out = {11, 1}}, 36, 60},
    {{.rank = 2, .from = 12, .dim = {3, 13}, .in = {13, -1}, .out = {13, 1}}, 39, 39},
    {{.rank = 2, .to = 1, .dim = {6, 5}, .in = {0, 1}, .out = {5, 1}}, 5, 31},
    {{.rank = 5, .dim = {2, 3, 2, 5, 3}, .in = {90, 1, 45, 9, 3}, .out = {90, 30, 15, 3, 1}}, 180, 180},
    {{.rank = 3, .dim = {3, 131, 257}, .in = {33667, 1, 131}, .out = {33667, 257, 1}}, 101001, 101001},
    {{.rank = 2, .dim = {3, 9001}, .in = {18002, 2}, .out = {9001, 1}}, 54006, 27003},
};

bool twin_build_strided_copy(twin *t, int variant) {
    static const cg_dtype dtypes[] = {CG_F32, CG_I64, CG_I32, CG_U8};
    if (variant >= COUNT(dtypes) * COUNT(strided_cases)) {
        return false;
    }
    const strided_case *c = &strided_cases[variant % COUNT(strided_cases)];
    cg_dtype dtype = dtypes[variant / COUNT(strided_cases)];
    t->attrs.strided = c->attrs;
    t->attrs.strided.size = sizeof t->attrs.strided;
    t->overwrites = dtype != CG_F32;
    input_of(t, dtype, c->in, 100);
    output_of(t, dtype, c->out);
    return true;
}

/* Real numbers stay in 0..63.75 and integers below 200, which every type can hold. */
bool twin_build_cast(twin *t, int variant) {
    static const cg_dtype dtypes[] = {CG_F32, CG_I64, CG_I32, CG_U8};
    static const int64_t sizes[] = {1, 13, 5001};
    if (variant >= COUNT(sizes) * COUNT(dtypes) * COUNT(dtypes)) {
        return false;
    }
    int64_t n = sizes[variant / (COUNT(dtypes) * COUNT(dtypes))];
    cg_dtype from = dtypes[variant / COUNT(dtypes) % COUNT(dtypes)], to = dtypes[variant % COUNT(dtypes)];
    input_of(t, from, n, 200);
    output_of(t, to, n);
    for (int64_t i = 0; from == CG_F32 && i < n; i++) {
        twin_set(&t->single.inputs[0], &t->wide.inputs[0], i, (float)(twin_random() >> 56) / 4.0f);
    }
    t->tolerance = 0.0;
    return true;
}

/* {outer, rows, chosen, inner} */
static const int64_t index_sizes[][4] = {
    {1, 1, 1, 1}, {1, 7, 5, 3}, {2, 3, 11, 4}, {3, 13, 2, 1}, {1, 50, 300, 17}, {5, 90, 40, 33},
};

bool twin_build_index(twin *t, int variant) {
    if (variant >= 4 * COUNT(index_sizes)) {
        return false;
    }
    const int64_t *n = index_sizes[variant / 4];
    bool add = t->single.kind->number == CG_OP_INDEX_ADD;
    cg_shape rows = CG_SHAPE(n[0], n[1], n[3]), chosen = CG_SHAPE(n[0], n[2], n[3]);
    t->attrs.index = (cg_index_attrs){sizeof t->attrs.index, 0, add && (variant & 2) ? n[1] / 2 : -1};
    twin_input(t, add ? chosen : rows);
    twin_integer_input(t, variant & 1 ? CG_I32 : CG_I64, CG_SHAPE(n[2]), n[1]);
    twin_output(t, add ? rows : chosen);
    t->work = add ? (double)(n[0] * n[1] * n[2] * n[3]) : 0.0;
    return true;
}

bool twin_build_gather(twin *t, int variant) {
    if (variant >= 2 * COUNT(index_sizes)) {
        return false;
    }
    const int64_t *n = index_sizes[variant / 2];
    bool add = t->single.kind->number == CG_OP_SCATTER_ADD;
    cg_shape rows = CG_SHAPE(n[0], n[1], n[3]), chosen = CG_SHAPE(n[0], n[2], n[3]);
    twin_input(t, add ? chosen : rows);
    twin_integer_input(t, variant & 1 ? CG_I32 : CG_I64, chosen, n[1]);
    twin_output(t, add ? rows : chosen);
    t->work = add ? (double)(n[0] * n[1] * n[2] * n[3]) : 0.0;
    return true;
}

bool twin_build_one_hot(twin *t, int variant) {
    static const int64_t sizes[][2] = {{1, 1}, {7, 3}, {300, 37}};
    if (variant >= 2 * COUNT(sizes)) {
        return false;
    }
    const int64_t *n = sizes[variant / 2];
    twin_integer_input(t, variant & 1 ? CG_I32 : CG_I64, CG_SHAPE(n[0]), n[1]);
    twin_output(t, CG_SHAPE(n[0], n[1]));
    t->tolerance = 0.0;
    return true;
}

bool twin_build_cumsum(twin *t, int variant) {
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {1, 300, 1}, {2, 129, 90}, {257, 33, 1}, {1, 5000, 2}};
    if (variant >= 2 * COUNT(sizes)) {
        return false;
    }
    const int64_t *n = sizes[variant / 2];
    t->attrs.cumsum = (cg_cumsum_attrs){sizeof t->attrs.cumsum, variant & 1};
    twin_input(t, CG_SHAPE(n[0], n[1], n[2]));
    twin_output(t, CG_SHAPE(n[0], n[1], n[2]));
    return true;
}

/* Uniform and Bernoulli numbers have the same bits everywhere. */
bool twin_build_random(twin *t, int variant) {
    static const int64_t sizes[] = {1, 7, 1001, 70001};
    static const double ends[][2] = {{-0.25, 1.5}, {0.5, 2.0}, {0.3, 1.25}}; /* by distribution */
    if (variant >= 3 * COUNT(sizes)) {
        return false;
    }
    uint32_t distribution = (uint32_t)variant % 3;
    t->attrs.random = (cg_random_attrs){.size = sizeof t->attrs.random,
                                        .distribution = distribution,
                                        .seed = twin_random(),
                                        .stream = (uint64_t)variant,
                                        .a = ends[distribution][0],
                                        .b = ends[distribution][1]};
    twin_integer_input(t, CG_I64, CG_SHAPE(1), 1000);
    twin_output(t, CG_SHAPE(sizes[variant / 3]));
    t->tolerance = distribution == CG_NORMAL ? 1e-5 : 0.0;
    return true;
}
