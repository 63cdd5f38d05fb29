/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What disk_volume.c, which makes volumes, and disk_volume_share.c, which hands them on, share.
 */
#ifndef LIBOS_DISK_DISK_VOLUME_PARTS_H
#define LIBOS_DISK_DISK_VOLUME_PARTS_H

#include "libos/core/share.h"
#include "libos/fs/volume.h"

struct volume_machine {
	struct volume volume;	/* first */
	exo_cap_t frames;
	uint32_t pages;
	struct share share;	/* of others, who may take them away: what is read then is nothing that is believed */
};

extern const struct volume_ops volume_machine_ops;
/* Map the volume's frames, to read, and take its sizes. */
bool volume_machine_map(struct volume_machine *own, uint32_t pages);
/* Set by who hands volumes on: one that was made here is going. */
extern void (*volume_machine_ends)(struct volume_machine *own);

#endif
