/* Putting a training together: files first, then device, data, model, optimizer, trainer. */
#include "training.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "report.h"
#include "saved_model.h"

/* Finds out before a long training that its result could not be saved. */
static cg_status check_writable(const char *path) {
    struct stat facts;
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode)) {
        return cg_fail(CG_ERR_FILE, "cannot write %s: it is %s", path,
                       S_ISDIR(facts.st_mode) ? "a folder" : "not a regular file");
    }
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    char *folder = calloc(length + 2, 1);
    if (!folder) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    memcpy(folder, slash ? path : ".", slash ? length : 1);
    cg_status status = CG_OK;
    if (access(folder, W_OK | X_OK) != 0) {
        status = cg_fail(CG_ERR_FILE, "cannot write %s: its folder %s: %s", path, folder, strerror(errno));
    }
    free(folder);
    return status;
}

static cg_status open_device(training *t) {
    CG_TRY(cg_device_open(t->options.device, &t->device));
    const char *fallback = t->options.fallback;
    cg_device_set_fallback(t->device, *fallback == 'a'   ? CG_FALLBACK_ALLOW
                                      : *fallback == 'w' ? CG_FALLBACK_WARN
                                                         : CG_FALLBACK_ERROR);
    return CG_OK;
}

static bool same_normalization(const cg_data_info *data, const cg_checkpoint_info *saved) {
    for (int i = 0; i < data->channels && data->channels == saved->channels; i++) {
        if (data->mean[i] != saved->mean[i] || data->std[i] != saved->std[i]) {
            return false;
        }
    }
    return data->channels == saved->channels;
}

/* Split and normalisation of a resumed training are the checkpoint's; a --normalize that is given must give the same
 * numbers. */
static cg_status open_data(training *t) {
    const train_options *options = &t->options;
    cg_data_options data = {.valid = options->valid, .limit = options->limit, .seed = (uint64_t)options->seed};
    data_options_from(&t->resumed, &data);
    if (!parse_normalize(options->normalize, &data)) {
        return cg_fail(CG_ERR_ARGUMENT, "--normalize '%s' is not understood", options->normalize);
    }
    CG_TRY(cg_data_load(options->data, &data, &t->data));
    const cg_data_info *info = cg_data_describe(t->data);
    if (!options->resume) {
        return CG_OK;
    }
    CG_TRY(check_agreement(options, "--data", info->name, t->resumed.data));
    if (t->resumed.has_normalization && !same_normalization(info, &t->resumed)) {
        return cg_fail(CG_ERR_ARGUMENT, "--normalize %s gives %g,%g, which does not agree with %s, which has %g,%g",
                       options->normalize ? options->normalize : "data", info->mean[0], info->std[0], options->resume,
                       t->resumed.mean[0], t->resumed.std[0]);
    }
    return CG_OK;
}

/* A text of the checkpoint's that does not parse is the file's fault. */
static cg_status blame(const training *t, const char *given, cg_status status) {
    if (!given && t->options.resume &&
        (status == CG_ERR_SYNTAX || status == CG_ERR_NAME || status == CG_ERR_ARGUMENT)) {
        return cg_fail_context(CG_ERR_FORMAT, "%s: ", t->options.resume);
    }
    return status;
}

static const char *choose(const char *given, const char *saved, const char *otherwise) {
    return given ? given : saved ? saved : otherwise;
}

static cg_status load_weights(training *t) {
    const train_options *options = &t->options;
    CG_TRY(cg_module_init(t->model, (uint64_t)options->seed));
    if (!options->init) {
        return CG_OK;
    }
    unsigned flags = CG_LOAD_STRICT;
    flags |= options->allow_missing ? CG_LOAD_ALLOW_MISSING : 0u;
    flags |= options->allow_extra ? CG_LOAD_ALLOW_EXTRA : 0u;
    return cg_checkpoint_load(options->init, t->model, NULL, flags);
}

static cg_status open_model(training *t) {
    const train_options *options = &t->options;
    const cg_data_info *info = cg_data_describe(t->data);
    const char *text = choose(options->model, t->resumed.model, "mlp");
    CG_TRY(blame(t, options->model, model_parse(t->device, text, info->classes, &t->model)));
    cg_shape input = {.dim = {options->batch}, .rank = info->sample.rank + 1};
    memcpy(input.dim + 1, info->sample.dim, (size_t)info->sample.rank * sizeof *input.dim);
    CG_TRY(cg_module_resolve(t->model, &input, NULL));
    t->model_text = module_text(t->model);
    text = choose(options->loss, t->resumed.loss, "auto");
    CG_TRY(blame(t, options->loss, loss_parse(t->device, text, info->classes, &t->loss)));
    t->loss_text = module_text(t->loss);
    if (!t->model_text || !t->loss_text) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    CG_TRY(check_agreement(options, "--model", t->model_text, t->resumed.model));
    CG_TRY(check_agreement(options, "--loss", t->loss_text, t->resumed.loss));
    return load_weights(t);
}

static cg_status open_optimizer(training *t) {
    const train_options *options = &t->options;
    const char *text = choose(options->optimizer, t->resumed.optimizer, "Adam(lr=0.001)");
    CG_TRY(blame(t, options->optimizer, cg_optimizer_parse(text, t->model, &t->optimizer)));
    t->optimizer_text = optimizer_text(t->optimizer);
    if (!t->optimizer_text) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    CG_TRY(check_agreement(options, "--optimizer", t->optimizer_text, t->resumed.optimizer));
    if (!options->resume) {
        return CG_OK;
    }
    CG_TRY(cg_checkpoint_load(options->resume, t->model, t->optimizer, CG_LOAD_STRICT));
    cg_optimizer_set_steps(t->optimizer, t->resumed.optimizer_steps);
    return CG_OK;
}

static cg_status open_trainer(training *t, const cg_train_callbacks *callbacks) {
    const train_options *options = &t->options;
    const cg_train_options chosen = {.batch = options->batch,
                                     .epochs = options->epochs,
                                     .steps = options->steps,
                                     .stop_after = options->stop_after,
                                     .save_every = options->save_every,
                                     .seed = (uint64_t)options->seed,
                                     .no_shuffle = options->no_shuffle};
    CG_TRY(cg_trainer_create(t->model, t->loss, t->optimizer, t->data, &chosen, callbacks, &t->trainer));
    if (options->resume) {
        cg_trainer_set_position(t->trainer, t->resumed.epoch, t->resumed.position);
    }
    return CG_OK;
}

static cg_status open_log(training *t) {
    if (!t->options.log) {
        return CG_OK;
    }
    t->log = fopen(t->options.log, t->options.resume ? "a" : "w");
    return t->log ? CG_OK : cg_fail(CG_ERR_FILE, "cannot write %s: %s", t->options.log, strerror(errno));
}

cg_status training_open(training *t, const train_options *options, const cg_train_callbacks *callbacks) {
    *t = (training){.options = *options};
    if (options->out) {
        CG_TRY(check_writable(options->out));
    }
    if (options->resume) {
        CG_TRY(cg_checkpoint_read(options->resume, &t->resumed));
    }
    CG_TRY(train_options_complete(&t->options, options->resume ? &t->resumed : NULL));
    CG_TRY(open_device(t));
    CG_TRY(open_data(t));
    CG_TRY(open_model(t));
    CG_TRY(open_optimizer(t));
    CG_TRY(open_trainer(t, callbacks));
    return open_log(t);
}

void training_close(training *t) {
    if (t->log) {
        fclose(t->log);
    }
    cg_trainer_destroy(t->trainer);
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->loss);
    cg_module_destroy(t->model);
    cg_data_destroy(t->data);
    close_device(t->device);
    free(t->model_text);
    free(t->loss_text);
    free(t->optimizer_text);
    cg_checkpoint_info_clear(&t->resumed);
}

cg_status training_save(const training *t) {
    if (!t->options.out) {
        return CG_OK;
    }
    const cg_data_info *data = cg_data_describe(t->data);
    cg_checkpoint_info info = {.model = t->model_text,
                               .data = (char *)data->name,
                               .sample = data->sample,
                               .classes = data->classes,
                               .has_normalization = true,
                               .channels = data->channels,
                               .has_split = true,
                               .valid = data->valid,
                               .split_seed = data->seed,
                               .optimizer = t->optimizer_text,
                               .loss = t->loss_text,
                               .optimizer_steps = cg_optimizer_steps(t->optimizer),
                               .seed = (uint64_t)t->options.seed,
                               .batch = t->options.batch,
                               .limit = t->options.limit,
                               .shuffle = !t->options.no_shuffle};
    memcpy(info.mean, data->mean, sizeof info.mean);
    memcpy(info.std, data->std, sizeof info.std);
    cg_trainer_position(t->trainer, &info.epoch, &info.position);
    return cg_checkpoint_save(t->options.out, t->model, t->optimizer, &info);
}

int64_t training_parameters(const training *t) {
    int64_t count = 0;
    for (size_t i = 0; i < cg_module_parameter_count(t->model); i++) {
        const char *name;
        count += cg_tensor_numel(cg_module_parameter(t->model, i, &name));
    }
    return count;
}
