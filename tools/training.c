/* Putting a training together: files first, then device, data, model, optimizer, trainer. */
#include "training.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "report.h"
#include "saved_model.h"
#include "train_notes.h"
#include "whole_file.h"

static bool same_normalization(const cg_data_info *data, const cg_checkpoint_info *saved) {
    for (int64_t i = 0; i < data->channels && data->channels == saved->channels; i++) {
        if (data->mean[i] != saved->mean[i] || data->std[i] != saved->std[i]) {
            return false;
        }
    }
    return data->channels == saved->channels;
}

static const char *choose(const char *given, const char *saved, const char *otherwise) {
    return given ? given : saved ? saved : otherwise;
}

/* Split and normalisation of a resumed training are the checkpoint's; a --normalize that is given must give the same
 * numbers. */
static cg_status open_data(training *t) {
    const train_options *options = &t->options;
    cg_data_options data = {.valid = options->valid,
                            .limit = options->limit,
                            .seed = (uint64_t)options->seed,
                            .target = options->target,
                            .task = parse_task(options->task),
                            .memory = options->memory << 20,
                            .workers = options->workers == 0 ? -1 : (int)options->workers};
    double pair[2];
    const char *augment = choose(options->augment, t->resumed.notes[CG_NOTE_AUGMENT], "none");
    data.augment = strcmp(augment, "none") == 0 ? NULL : augment;
    data_options_from(&t->resumed, &data);
    if (!parse_normalize(options->normalize, pair, &data)) {
        return cg_fail(CG_ERR_ARGUMENT, "--normalize '%s' is not understood", options->normalize);
    }
    CG_TRY(cg_data_load(options->data, &data, &t->data));
    const cg_data_info *info = cg_data_describe(t->data);
    if (!options->resume) {
        return CG_OK;
    }
    CG_TRY(check_agreement(options, "--data", info->name, t->resumed.data));
    if (info->target) {
        CG_TRY(check_agreement(options, "--target", info->target, t->resumed.target));
    }
    if (t->resumed.data && info->classes != t->resumed.classes) {
        return cg_fail(CG_ERR_FORMAT, "%s has %lld classes, %s was trained on %lld (0: on numbers)", options->data,
                       (long long)info->classes, options->resume, (long long)t->resumed.classes);
    }
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
    CG_TRY(blame(t, options->model, model_parse(t->device, text, info->classes + info->targets, &t->model)));
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

/* Compares with the checkpoint's optimizer as this version prints it: an older one knew fewer arguments. */
static cg_status agree_on_optimizer(const training *t) {
    if (!t->resumed.optimizer) {
        return CG_OK;
    }
    cg_optimizer *saved = NULL;
    CG_TRY(blame(t, NULL, cg_optimizer_parse(t->resumed.optimizer, t->model, &saved)));
    char *text = optimizer_text(saved);
    cg_optimizer_destroy(saved);
    cg_status status = text ? check_agreement(&t->options, "--optimizer", t->optimizer_text, text)
                            : cg_fail(CG_ERR_MEMORY, "out of memory");
    free(text);
    return status;
}

static cg_status open_optimizer(training *t) {
    const train_options *options = &t->options;
    const char *text = choose(options->optimizer, t->resumed.optimizer, "Adam(lr=0.001)");
    CG_TRY(blame(t, options->optimizer, cg_optimizer_parse(text, t->model, &t->optimizer)));
    t->optimizer_text = optimizer_text(t->optimizer);
    if (!t->optimizer_text) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    return agree_on_optimizer(t);
}

/* A schedule, an average, a pattern or a group out of the file that does not parse; that a schedule is too short for
 * the flags is not the file's fault. */
static cg_status blame_texts(const training *t, cg_status status) {
    const train_options *o = &t->options;
    bool given = o->schedule || o->ema >= 0 || o->freeze || o->groups;
    return status == CG_ERR_ARGUMENT ? status : blame(t, given ? "" : NULL, status);
}

static cg_status open_trainer(training *t) {
    const train_options *options = &t->options;
    t->chosen = (cg_train_options){.batch = options->batch,
                                   .epochs = options->epochs,
                                   .steps = options->steps,
                                   .stop_after = options->stop_after,
                                   .save_every = options->save_every,
                                   .seed = (uint64_t)options->seed,
                                   .no_shuffle = options->no_shuffle,
                                   .ranks = t->ranks->count > 1 ? t->ranks : NULL};
    CG_TRY(train_notes_apply(options, &t->resumed, &t->texts, &t->chosen));
    cg_status status = cg_trainer_create(t->model, t->loss, t->optimizer, t->data, &t->chosen, &t->trainer);
    CG_TRY(blame_texts(t, status));
    if (options->save_best && cg_data_describe(t->data)->rows[CG_SPLIT_VALID] == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "--save-best goes by validation, and the data '%s' has no validation rows",
                       cg_data_describe(t->data)->name);
    }
    if (options->resume) {
        CG_TRY(train_notes_agree(options, &t->resumed, t->trainer));
        CG_TRY(cg_trainer_load(t->trainer, options->resume));
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

cg_status training_open(training *t, const train_options *options, const cg_ranks *ranks) {
    *t = (training){.options = *options, .ranks = ranks};
    CG_TRY(options->out ? whole_file_check(options->out) : CG_OK);
    CG_TRY(options->report ? whole_file_check(options->report) : CG_OK);
    CG_TRY(options->save_best ? whole_file_check(options->save_best) : CG_OK);
    if (options->resume) {
        CG_TRY(cg_checkpoint_read(options->resume, &t->resumed));
    }
    CG_TRY(train_options_complete(&t->options, options->resume ? &t->resumed : NULL));
    CG_TRY(open_device(t->options.device, t->options.fallback, &t->device));
    CG_TRY(set_precision(t->device, train_notes_precision(&t->options, &t->resumed)));
    CG_TRY(open_data(t));
    CG_TRY(open_model(t));
    CG_TRY(open_optimizer(t));
    CG_TRY(open_trainer(t));
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

cg_status training_save(const training *t, const char *path) {
    if (!path) {
        return CG_OK;
    }
    const cg_data_info *data = cg_data_describe(t->data);
    cg_checkpoint_info info = {.model = t->model_text,
                               .data = (char *)data->name,
                               .target = (char *)data->target,
                               .sample = data->sample,
                               .classes = data->classes,
                               .class_names = data->named_classes ? (char **)data->class_names : NULL,
                               .has_normalization = true,
                               .channels = data->channels,
                               .mean = (double *)data->mean,
                               .std = (double *)data->std,
                               .has_split = true,
                               .valid = data->valid,
                               .split_seed = data->seed,
                               .optimizer = t->optimizer_text,
                               .loss = t->loss_text,
                               .limit = t->options.limit};
    return cg_trainer_save(t->trainer, path, &info);
}

int64_t training_parameters(const training *t) {
    int64_t count = 0;
    for (size_t i = 0; i < cg_module_parameter_count(t->model); i++) {
        const char *name;
        count += cg_tensor_numel(cg_module_parameter(t->model, i, &name));
    }
    return count;
}
