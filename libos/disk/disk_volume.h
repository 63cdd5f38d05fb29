/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes of the block registry in a program: made of an extent, or had from the program that made it.
 *
 * The maker keeps the volume alive: when it ends, or unmounts, the volume is dead for all, and its frames are taken back: who
 * still has it finds nothing there that counts, and gets errors. It serves the domains that it shares by rpc
 * (libos/core/rpc.h; one server a program), under the labels that its configuration says: `serve = NAME` for each, in the
 * order of disk_volume_offer(). Each is given to the first environment that asks, on the same CPU, as long as that lives: a
 * node to see the whole volume by, one to change the domain, and the volume's frames to read.
 */
#ifndef LIBOS_DISK_DISK_VOLUME_H
#define LIBOS_DISK_DISK_VOLUME_H

#include "libos/fs/volume.h"

#define VOLUME_SHARES	8

/* fs_mount.volume of an extent: all its blocks. -EACCES: something is derived from it, or it cannot be written; -ENOMEM. */
int disk_volume_make(struct block_device *device, bool read_only, struct volume **volume);
/* A domain of a file system `common`, made if it is not there, is for whoever asks by the next label. -ENOSPC: there are
 * VOLUME_SHARES. */
struct fs;
int disk_volume_offer(struct fs *fs, const char *domain);
/* The volume whose maker serves `label`, as its share. -ENOENT: nobody does; -EBUSY: another has it; -EACCES;
 * -EPROTO: what he gives is no volume of the kernel's, not all of it, or not its nodes; -ENOMEM. */
int disk_volume_take(const char *label, struct volume **volume);

#endif
