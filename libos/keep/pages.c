/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for the keeper's file systems in memory: never the last part of the machine's, so that who fills
 * them gets ENOSPC and processes can still be made.
 */
#include "libos/core/frame.h"
#include "libos/disk/disk.h"
#include "libos/keep/files.h"

#define KEPT_SHARE	3	/* one in so many of the frames that there were at first is not for files */

/* So many frames can be had without taking from the part of the machine that is kept. */
static bool there_are(uint32_t frames)
{
	static uint32_t kept;

	if (!kept)
		kept = frame_left() / KEPT_SHARE + 1;
	return frame_left() >= kept + frames;
}

bool keep_room(void)
{
	return there_are(0);
}

void *keep_pages(uint32_t pages)
{
	return there_are(pages) ? disk_memory(pages) : NULL;
}

/* What files have given up is for processes again. */
void keep_pages_free(void *memory, uint32_t pages)
{
	disk_memory_free(memory, pages);
	frame_pack(pages);
}
