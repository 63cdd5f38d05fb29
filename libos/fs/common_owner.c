/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner function of volumes that hold a file system `common`: every slot that is not empty, of every type but names.
 *
 * Written at run time, as eBPF: no loop, so what a run costs is known. It reads the slots alone, so a change of names, sizes
 * or times needs no run.
 */
#include "libos/core/insn.h"
#include "libos/fs/common.h"
#include "libos/fs/common_disk.h"

unsigned common_owner(struct exo_insn *insn, struct exo_insn *end)
{
	unsigned n = 0;

	if (end - insn < 8 * COMMON_SLOTS + 8)
		return 0;
	insn[n++] = INSN_LOAD(8, 7, 1, offsetof(struct exo_block, data));
	insn[n++] = INSN_LOAD(8, 2, 1, offsetof(struct exo_block, type));
	insn[n++] = INSN_IFI(JNE, 2, COMMON_NAMES, 2);
	insn[n++] = INSN_OPI(MOV, 0, 0);
	insn[n++] = INSN_EXIT;
	for (int i = 0; i < COMMON_SLOTS; i++) {
		insn[n++] = INSN_LOAD(4, 1, 7, COMMON_SLOT_AT(i));
		insn[n++] = INSN_IFI(JEQ, 1, 0, 5);
		insn[n++] = INSN_LOAD(4, 2, 7, COMMON_SLOT_AT(i) + 4);
		insn[n++] = INSN_OP(MOV, 3, 2);
		insn[n++] = INSN_OPI(AND, 2, COMMON_COUNT_MAX);
		insn[n++] = INSN_OPI(RSH, 3, 24);
		insn[n++] = INSN_CALL(emit);
	}
	insn[n++] = INSN_OPI(MOV, 0, 0);
	insn[n++] = INSN_EXIT;
	return n;
}
