/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block registry: volumes, whose blocks belong to metadata and not to whoever has them.
 *
 * A volume is made of all blocks of a BLOCKS capability, an owner function (exo/code.h, EXO_USE_OWNER) and frames that the
 * maker gives up for it, which can be mapped to read from then on. Its blocks are numbered from 0, the root, which is of
 * type 1. A block of type 1..255 is *metadata*: the owner function, run on its bytes, says which blocks it owns, and their
 * types; type 0 is *data*. So the blocks are a tree. Who owns a block stands in the frames, for all to read.
 *
 * A NODE capability names one metadata block. With READ its holder reads the data that the block owns, and names the
 * metadata that it owns (exo_node_open); with WRITE he writes that data, and changes the block (exo_node_change): the
 * kernel runs the owner function on the old bytes and the new, and refuses what gains or loses other blocks than was
 * declared, a block that is not free, or metadata that still owns something. So libFSes that do not trust each other share
 * one tree and one free map, and nobody reaches a block that no metadata of his owns.
 *
 * Metadata lies in the volume's buffers. exo_node_load reserves one; then a request of the disk's ring with a NODE
 * capability in `blocks` reads or writes it, to or from its buffer whatever `frames` says. Data goes between disk and the
 * caller's frames, as always, with `blocks` the NODE capability of its owner; `block` is counted from the volume's first.
 * Whoever holds any NODE capability with WRITE may write any metadata back that was changed since it was last written, once;
 * the kernel itself never does.
 *
 * After a power cut the tree on the disk is sound, if a block is written as a whole or not at all: metadata is written
 * only when all that it has gained is on the disk itself (what is neither is refused with BUSY: write it, flush); a block
 * that it has lost is free only when it has been written without it, and that is on the disk; what was never written is
 * never read. There is no other free map: before blocks can be gained, all metadata has to be loaded once (`unwalked`),
 * and metadata that claims what another has stays unwalked.
 *
 * The BLOCKS capability can be used for nothing else meanwhile, nor what is derived from it. When it goes, the volume is
 * dead (STATE). With the last NODE capability, or by exo_frame_reclaim, its frames are the maker's memory again.
 */
#ifndef EXO_REGISTRY_H
#define EXO_REGISTRY_H

#include <exo/types.h>

#define EXO_VOLUME_VERSION	1
#define EXO_VOLUME_NONE		0xffffffff
#define EXO_VOLUME_FRAMES_MAX	16384	/* of one volume: 128 blocks each, and the buffers */
#define EXO_VOLUME_BUFFERS_MAX	124
#define EXO_VOLUME_RANGES_MAX	64	/* ranges that one block owns */
#define EXO_VOLUME_CHANGE_MAX	32	/* blocks that one change gains, and as many that it loses */
#define EXO_VOLUME_BYTES_MAX	512	/* bytes that one change writes */
#define EXO_VOLUME_COST_MAX	8192	/* fuel times weight of the owner function (EXO_CODE_COST_MAX) */
#define EXO_VOLUME_TYPE_MAX	255
#define EXO_VOLUME_TYPE_ROOT	1

/* States of a block. */
#define EXO_BLOCK_FREE		0	/* nothing owns it, here or on the disk */
#define EXO_BLOCK_FRESH		1	/* owned, and not written since */
#define EXO_BLOCK_OWNED		2
#define EXO_BLOCK_LEFT		3	/* lost; to be had when its last owner, as it is without it, is on the disk */

#define EXO_BLOCK_WALKED	1	/* metadata: what it owns is known */
#define EXO_BLOCK_LOADED	2	/* its buffer holds it */
#define EXO_BLOCK_SHARE		2	/* from this bit on: the number of its share */
#define EXO_VOLUME_SHARES	64
#define EXO_VOLUME_LEFT_MAX	0x3fffffff

struct exo_volume_block {
	uint8_t state, type, flags;	/* EXO_BLOCK_* */
	uint8_t flights;	/* requests under way */
	uint32_t parent;	/* the block that owns it, or did */
	uint32_t birth;		/* `clock` when it was gained */
	uint32_t changed;	/* ... when it was last changed, or lost */
	uint32_t written;	/* `changed` of what was last written */
	uint32_t stamp;		/* the disk's flush before that */
	uint32_t owned;		/* blocks that it owns */
	uint32_t buffer;	/* EXO_VOLUME_NONE: none */
};

struct exo_volume_buffer {
	uint32_t block;		/* EXO_VOLUME_NONE: none */
	uint32_t going;		/* `changed` of what is being written */
	uint32_t pending;	/* blocks that it owns and that are fresh */
	uint32_t after;		/* the flush after which it can be written */
	uint64_t seen;		/* 64 bytes each that the owner function reads */
	uint32_t marked;	/* while it is walked: how far */
	uint32_t spare;
};

/*
 * A share bounds what is below a block that the root owns (exo_node_share). A block is counted from when it is gained, or
 * found, until it is FREE again, which it becomes when somebody asks for it and it can be had: who gains and loses in turn
 * does not get more. Metadata of a share gets none but its buffers. Share 0, which all are of that nothing was said of, gains
 * as it likes.
 */
struct exo_volume_share {
	int32_t left;		/* blocks that it can still gain */
	uint16_t buffer, end;	/* its buffers; end 0: all */
};

/* Frame 0. Frame 1 begins with the shares, and is the kernel's work memory; then come the blocks, then the buffers. */
struct exo_volume {
	uint32_t version, size;	/* EXO_VOLUME_VERSION, sizeof */
	uint32_t id;		/* never used again */
	uint32_t disk;		/* by number */
	uint64_t first;		/* its first block there */
	uint32_t blocks, buffers;
	uint32_t map, buffer_first;	/* frames, from frame 0 */
	uint32_t clock;
	uint32_t unwalked;	/* metadata that was not loaded yet */
	uint64_t through;	/* the kernel's from here on */
	uint32_t code, code_id;
	uint32_t holds, frames;
	uint32_t cleared, going;
	uint64_t node;
	uint32_t wanted, spare1;
	uint64_t spare[4];
	struct exo_volume_buffer buffer[EXO_VOLUME_BUFFERS_MAX];
};

/* For exo_node_change, in the argument frame. */
struct exo_node_change {
	uint32_t at, bytes;	/* in the block */
	uint32_t gains, losses;
	struct {
		uint32_t block, type;
	} gain[EXO_VOLUME_CHANGE_MAX], loss[EXO_VOLUME_CHANGE_MAX];	/* both by block number */
	uint8_t old[EXO_VOLUME_BYTES_MAX];	/* what stands there; else: BUSY, somebody was faster */
	uint8_t new[EXO_VOLUME_BYTES_MAX];
};

#ifndef __ASSEMBLER__
/* Frames that a volume takes. */
static inline uint64_t exo_volume_frames(uint64_t blocks, uint64_t buffers)
{
	return 2 + (blocks * sizeof(struct exo_volume_block) + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE + buffers;
}
_Static_assert(sizeof(struct exo_volume_block) == 32 && sizeof(struct exo_volume_buffer) == 32, "sizes");
_Static_assert(sizeof(struct exo_volume) <= EXO_PAGE_SIZE, "one frame");
#endif

#endif
