/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as a program has it: extents, each a block device (libos/fs/device.h), over one ring of its own.
 *
 * Requests go from the ring to the disk without a copy; the kernel checks each against the extent's capability and those
 * of the frames. A request is given to the kernel by one call when it is submitted; what ends is seen in the ring by
 * whoever waits, by block_poll(), or when no thread can run. Each thread waits for its own request; as many requests are
 * under way as the ring has slots, others stand in line behind them.
 *
 * Memory for requests comes from frames of the program's own account, mapped side by side; a table says for each page
 * which frame of which capability it is, so that an address becomes what the kernel wants in constant time. Pages that are
 * neighbours in memory become one part of a request if they are frames of one capability in a row.
 *
 * When the shares are taken away, all requests end with -ENXIO; the disk may still write to their memory for a while.
 *
 * A disk that has requests and ends none for disk_patience() is reset by who waits for it, if the program has all its
 * shares: what it had then ends with -EIO, and the next request finds a disk that works, or one that is tried again. If the
 * disk does not even say within as much time that it has stopped, it is given up: all ends with -EIO from then on, and the
 * memory of what it had must not be used again; the kernel keeps its frames. A program that opens it later tries once more.
 * One with a part of the shares waits until somebody who has them all does something.
 */
#ifndef LIBOS_DISK_DISK_H
#define LIBOS_DISK_DISK_H

#include <errno.h>
#include <exo/disk.h>
#include "libos/core/core.h"
#include "libos/fs/device.h"

#define DISK_EXTENTS_MAX	16	/* of a program, open at a time */

struct disk;

/*
 * The extent that the start record names (configuration: `extent`), by the shares of its disk that the program has
 * ("disk0"). -ENOENT: there is no such capability; -ENODEV: none for the disk; -EBUSY: its shares are bound by somebody
 * else, or to a ring that is not this library's; -ENOMEM; -EMFILE: too many are open.
 */
int disk_extent_open(const char *name, struct block_device **device);

/*
 * The same by capabilities. disk_open binds a ring to all the shares that `shares` covers, through a capability that it
 * derives, so that disk_close frees them; all its extents are closed before that.
 */
int disk_open(exo_cap_t shares, struct disk **disk);
int disk_extent(struct disk *disk, exo_cap_t blocks, struct block_device **device);
void disk_close(struct disk *disk);

/* How long the disk of an extent may end nothing; looked at about once a second. EXO_NEVER: for ever. */
#define DISK_PATIENCE	(30 * CORE_SECOND)
void disk_patience(struct block_device *device, exo_time_t patience);

/*
 * silent.c: have a disk start anew, by a capability for all its shares. 0; -EACCES: the capability does not allow it; -EIO:
 * it did not come back in that time, and was given up.
 */
int disk_restart(exo_cap_t shares, exo_time_t patience);

/* The BLOCKS capability of an extent. */
exo_cap_t disk_blocks_of(const struct block_device *device);
/* A device for the blocks of a volume of that disk: each request says `through` which node it goes. As disk_extent_open. */
int disk_volume_device(unsigned number, uint32_t blocks, struct block_device **device);

/* The ring, for its counters. */
const struct exo_disk_ring *disk_ring(const struct disk *disk);
/* What the machine tells of a disk: its entry; NULL: there is none. */
const struct exo_device_info *disk_info(unsigned number);

/* memory.c: zeroed pages that requests may name, for extents of any disk; NULL: there are none left. */
void *disk_memory(uint32_t pages);
void disk_memory_free(void *memory, uint32_t pages);
/* From now on memory is from these pages, the capability's frames from `first` on, as long as there is room. Once. */
void disk_memory_lend(void *base, exo_cap_t cap, uint32_t first, uint32_t pages);
/* The frame that a page of these is: false: it is none of them. How many pages from it on are its capability's next. */
bool disk_frame(const void *memory, exo_cap_t *cap, uint32_t *first, uint32_t *run, uint32_t most);

#endif
