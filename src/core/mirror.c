#include "mirror.h"

#include "alloc.h"
#include "device.h"

static void drop(cg_device *device, size_t i) {
    cg_mirror *mirror = &device->mirror;
    cg_pool_release(device->cpu, mirror->pieces[i].host);
    mirror->pieces[i] = mirror->pieces[--mirror->count];
}

static cg_status write_piece(cg_device *device, cg_mirrored *piece) {
    if (!piece->newer) {
        return CG_OK;
    }
    CG_TRY(device->backend->write(device->handle, piece->buffer, piece->offset, piece->host->handle, piece->bytes));
    device->fallbacks[piece->blame].bytes += piece->bytes;
    piece->newer = false;
    return CG_OK;
}

static bool same_piece(const cg_mirrored *piece, void *buffer, size_t offset, size_t bytes) {
    return piece->buffer == buffer && piece->offset == offset && piece->bytes == bytes;
}

static bool overlaps(const cg_mirrored *piece, void *buffer, size_t offset, size_t bytes) {
    return piece->buffer == buffer && piece->offset < offset + bytes && offset < piece->offset + piece->bytes;
}

cg_status cg_mirror_sync(cg_device *device, void *buffer, size_t offset, size_t bytes) {
    cg_mirror *mirror = &device->mirror;
    for (size_t i = 0; i < mirror->count; i++) {
        if (overlaps(&mirror->pieces[i], buffer, offset, bytes)) {
            CG_TRY(write_piece(device, &mirror->pieces[i]));
        }
    }
    return CG_OK;
}

void cg_mirror_forget(cg_device *device, void *buffer, size_t offset, size_t bytes) {
    for (size_t i = device->mirror.count; i-- > 0;) {
        if (overlaps(&device->mirror.pieces[i], buffer, offset, bytes)) {
            drop(device, i);
        }
    }
}

cg_status cg_mirror_overwrite(cg_device *device, void *buffer, size_t offset, size_t bytes) {
    cg_mirror *mirror = &device->mirror;
    for (size_t i = mirror->count; i-- > 0;) {
        cg_mirrored *piece = &mirror->pieces[i];
        if (overlaps(piece, buffer, offset, bytes)) {
            bool whole = piece->offset >= offset && piece->offset + piece->bytes <= offset + bytes;
            CG_TRY(whole ? CG_OK : write_piece(device, piece));
            drop(device, i);
        }
    }
    return CG_OK;
}

/* Other views of this memory: what is newer there goes to the device first. Those of the op at work stay. */
static cg_status settle_overlap(cg_device *device, void *buffer, size_t offset, size_t bytes) {
    cg_mirror *mirror = &device->mirror;
    for (size_t i = mirror->count; i-- > 0;) {
        cg_mirrored *piece = &mirror->pieces[i];
        if (overlaps(piece, buffer, offset, bytes) && !same_piece(piece, buffer, offset, bytes)) {
            CG_TRY(write_piece(device, piece));
            if (piece->use != mirror->op) {
                drop(device, i);
            }
        }
    }
    return CG_OK;
}

static cg_mirrored *find(cg_mirror *mirror, void *buffer, size_t offset, size_t bytes) {
    for (size_t i = 0; i < mirror->count; i++) {
        if (same_piece(&mirror->pieces[i], buffer, offset, bytes)) {
            return &mirror->pieces[i];
        }
    }
    return NULL;
}

static cg_status add(cg_device *device, const cg_mirrored *wanted, bool read) {
    cg_mirror *mirror = &device->mirror;
    cg_mirrored piece = *wanted;
    if (!CG_GROW(mirror->pieces, mirror->count, mirror->capacity)) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_pool_acquire(device->cpu, piece.bytes, &piece.host));
    mirror->pieces[mirror->count++] = piece;
    if (!read) {
        return CG_OK;
    }
    cg_status status =
        device->backend->read(device->handle, piece.buffer, piece.offset, piece.host->handle, piece.bytes);
    if (status != CG_OK) {
        drop(device, mirror->count - 1);
        return status;
    }
    device->fallbacks[piece.blame].bytes += piece.bytes;
    return CG_OK;
}

cg_status cg_mirror_get(cg_device *device, const cg_operand *operand, bool read, size_t blame, void **memory) {
    cg_mirror *mirror = &device->mirror;
    size_t size = cg_dtype_size(operand->dtype);
    const cg_mirrored wanted = {.buffer = operand->buffer,
                                .offset = operand->offset * size,
                                .bytes = operand->extent * size,
                                .use = mirror->op,
                                .blame = blame};
    CG_TRY(settle_overlap(device, wanted.buffer, wanted.offset, wanted.bytes));
    if (find(mirror, wanted.buffer, wanted.offset, wanted.bytes) == NULL) {
        CG_TRY(add(device, &wanted, read));
    }
    cg_mirrored *piece = find(mirror, wanted.buffer, wanted.offset, wanted.bytes);
    piece->use = mirror->op;
    piece->blame = blame;
    *memory = piece->host->handle; /* a buffer of the CPU is a pointer */
    return CG_OK;
}

cg_status cg_mirror_written(cg_device *device, const cg_operand *operand) {
    cg_mirror *mirror = &device->mirror;
    size_t size = cg_dtype_size(operand->dtype), offset = operand->offset * size, bytes = operand->extent * size;
    for (size_t i = mirror->count; i-- > 0;) {
        if (overlaps(&mirror->pieces[i], operand->buffer, offset, bytes) &&
            !same_piece(&mirror->pieces[i], operand->buffer, offset, bytes)) {
            if (mirror->pieces[i].newer) {
                return cg_fail(CG_ERR_UNSUPPORTED, "%s: outputs of an op that falls back to the CPU overlap",
                               device->info.string);
            }
            drop(device, i);
        }
    }
    find(mirror, operand->buffer, offset, bytes)->newer = true;
    return CG_OK;
}

void cg_mirror_abandon(cg_device *device, const cg_operand *operand) {
    size_t size = cg_dtype_size(operand->dtype);
    const cg_mirrored *piece = find(&device->mirror, operand->buffer, operand->offset * size, operand->extent * size);
    if (piece != NULL) {
        drop(device, (size_t)(piece - device->mirror.pieces));
    }
}

void cg_mirror_destroy(cg_device *device) {
    while (device->mirror.count > 0) {
        drop(device, device->mirror.count - 1);
    }
    cg_free(device->mirror.pieces);
    device->mirror = (cg_mirror){0};
}
