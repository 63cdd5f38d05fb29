/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole kernel interface: number, name, arguments, capability and rights needed, one line of meaning.
 *
 * Dispatch (exo/call.c), user stubs (libos/core/stub.h), the reference manual (doc/abi) and the call fuzzer are made
 * from this table. Numbers are never reused. The machine's registers: number in rax; arguments in rdi, rsi, rdx, r10,
 * r8, r9; result in rax; rcx, r11 and the argument registers are lost, all others kept.
 *
 * Argument letters:  c capability handle   s free slot in the own table   n number   v virtual address
 *                    o byte offset in the argument frame   t time, ns     w message word
 * "rights" is TYPE:RIGHTS of the first capability argument ("-" when there is none); each call's page in doc/abi says
 * what the other capabilities need, and every error.
 */
#ifndef EXO_CALL_H
#define EXO_CALL_H

/*      nr  name           args       argument names                             rights            meaning */
#define EXO_CALLS(X) \
	X(0,  null,          "",        "",                                        "-",              "does nothing; the floor of a kernel entry") \
	X(1,  console_write, "con",     "console, offset, bytes",                  "CONSOLE:WRITE",  "write bytes of the argument frame to the console; returns how many") \
	X(2,  machine_halt,  "cn",      "machine, status",                         "MACHINE:CONTROL", "stop the machine with a status; does not return") \
	X(3,  cap_derive,    "ccsnnn",  "source, env, slot, rights, first, count", "any",            "make a smaller capability in the own table (env 0) or in another's") \
	X(4,  cap_delete,    "c",       "cap",                                     "any",            "drop a capability and what was bound through it; children move up") \
	X(5,  cap_revoke,    "c",       "cap",                                     "any",            "delete all that was derived from a capability, transitively") \
	X(6,  cap_table,     "cn",      "frames, first",                           "FRAME:WRITE",    "add a frame to the own capability table") \
	X(7,  frame_take,    "snn",     "slot or frames, pfn, count",              "-",              "take free frames, zeroed, into a new capability or at the end of one") \
	X(8,  frame_give,    "cn",      "frames, count",                           "FRAME:WRITE",    "give back the last count frames of a capability") \
	X(9,  space_create,  "scn",     "slot, frames, first",                     "FRAME:WRITE",    "make an address space; one frame becomes its root table") \
	X(10, space_table,   "cvncn",   "space, address, level, frames, first",    "SPACE:WRITE",    "link a page table for an address; level 1 takes 3 frames, 2 and 3 take 1") \
	X(11, space_write,   "con",     "space, offset, count",                    "SPACE:WRITE",    "write page-table entries as struct exo_map in the argument frame says") \
	X(12, env_create,    "scccno",  "slot, space, account or 0, frames, first, offset", "SPACE:WRITE", "make an environment from 4 frames and struct exo_env_params: env, dispatcher, argument, capability table") \
	X(13, env_start,     "c",       "env",                                     "ENV:CONTROL",    "let an environment run: its first upcall is RUN") \
	X(14, env_read,      "cvon",    "env, address, offset, bytes",             "ENV:READ",       "copy another environment's memory to the argument frame") \
	X(15, env_exit,      "nn",      "cause, status",                           "-",              "end the caller; does not return") \
	X(16, env_destroy,   "c",       "env",                                     "ENV:CONTROL",    "end an environment, free what it holds and return its frames") \
	X(17, env_fsbase,    "n",       "base",                                    "-",              "set the FS base, where user mode cannot do it itself") \
	X(18, yield,         "ct",      "env or 0, until",                         "ENV:WAKE",       "give the rest of the slice away, or lend it until a time; comes back as a RUN upcall") \
	X(19, sleep,         "tnc",     "until, events, code or 0",                "CODE:EXEC",      "give the CPU up until a time, a new event, or until a program says so; comes back as a RUN upcall") \
	X(20, slice_take,    "snnn",    "slot, cpu, first, count",                 "-",              "take free slices of a CPU's vector") \
	X(21, slice_bind,    "cc",      "slices, env",                             "SLICE:BIND",     "let an environment run in slices") \
	X(22, entry_make,    "scn",     "slot, env or 0, badge",                   "ENV:CONTROL",    "make a badged entry capability to an environment's transfer entry") \
	X(23, call,          "ctwwww",  "entry, deadline, w0, w1, w2, w3",         "ENTRY:EXEC",     "protected control transfer; returns when the callee replies") \
	X(24, reply,         "nwwww",   "status, w0, w1, w2, w3",                  "-",              "answer the transfer being served; comes back at the next upcall") \
	X(25, send,          "cwwww",   "entry, w0, w1, w2, w3",                   "ENTRY:EXEC",     "one-way transfer: the slice goes along, nothing comes back") \
	X(26, flow_make,     "sccno",   "slot, parent, frames, first, offset",     "FLOW:CLAIM",     "make a narrower flow from struct exo_claim in the argument frame") \
	X(27, flow_bind,     "ccncnn",  "flow, ring frames, first, tx frames, first, count", "FLOW:BIND", "bind receive and transmit rings to a flow") \
	X(28, flow_kick,     "c",       "flow",                                    "FLOW:BIND",      "send what is queued, collect what was sent; returns packets taken") \
	X(29, account_make,  "sccnn",   "slot, parent, frames, first, limit",      "ACCOUNT:CONTROL", "make an account below another, with a limit of frames and no guarantee") \
	X(30, account_share, "cco",     "parent, account, offset",                 "ACCOUNT:CONTROL", "set limits and guarantees of an account right below, from struct exo_shares in the argument frame") \
	X(31, demand,        "cnn",     "account, what, count",                    "ACCOUNT:READ",   "for one's own unmet guarantee, ask an account above its guarantee to give back frames or slices") \
	X(32, repossess,     "c",       "account",                                 "ACCOUNT:READ",   "take by force what is left of a demand whose time has passed; returns how much") \
	X(33, space_seal,    "c",       "space",                                   "SPACE:WRITE",    "make a space's executable mappings final") \
	X(34, env_move,      "cn",      "env or 0, cpu",                           "ENV:CONTROL",    "let an environment run on another CPU from now on; for the caller it comes back as a RUN upcall") \
	X(35, wake,          "c",       "env or entry",                            "ENV:WAKE",       "post event WAKE to an environment, on whatever CPU it is") \
	X(36, frame_reclaim, "cnn",     "frames, first, count",                    "FRAME:WRITE",    "take apart the kernel objects that lie in frames which nobody else holds") \
	X(37, code_load,     "scnn",    "slot, frames, first, count",              "FRAME:WRITE",    "give frames with struct exo_code and its instructions up for a program") \
	X(38, code_step,     "co",      "code, offset",                            "CODE:BIND",      "check and compile a program, a bounded piece at a time; struct exo_code_report to the argument frame") \
	X(39, code_bind,     "cncn",    "code, window, frames, first",             "CODE:BIND",      "give a program the memory of one of its windows") \
	X(40, flow_attach,   "cc",      "flow, code or 0",                         "FLOW:BIND",      "let a program look at each packet of the own flow first") \
	X(41, kick,          "cn",      "frames, first",                           "FRAME:WRITE",    "run the wakeup programs that watch a frame: its contents have changed") \
	X(42, code_run,      "ccno",    "code, frames, first, offset",             "CODE:EXEC, FRAME:READ", "run an owner function on a copy of a block; struct exo_owner_run in the argument frame") \
	X(43, entry_open,    "cc",      "entry, account or 0",                     "ENTRY:EXEC",     "let all that is charged to an account, or below it, take an entry; 0: nobody") \
	X(44, entry_take,    "snn",     "slot, opener, name",                      "-",              "derive an entry that another environment, by its id, has opened, from its handle there") \
	X(45, cap_split,     "ccscn",   "source, env, slot, frames, first",        "FRAME:READ",     "make a frame capability two read-only siblings, which remember that they could write") \
	X(46, split_give,    "cnn",     "frames, first, count",                    "FRAME:READ",     "give up what a split capability holds of some frames") \
	X(47, split_end,     "c",       "frames",                                  "FRAME:READ",     "the only sibling that is left gets its right to write back") \
	X(48, console_read,  "con",     "console, offset, bytes",                  "CONSOLE:READ",   "become the console's reader, and take the bytes that came in; returns how many") \
	X(49, env_write,     "cvon",    "env, address, offset, bytes",             "ENV:CONTROL",    "copy bytes of the argument frame to another environment's memory, where it could write itself") \
	X(50, trace,         "ccnnn",   "env or 0, frames, first, count, mask",    "ENV:READ",       "have the kernel write what it does for an environment to frames of one's own") \
	X(51, port,          "cnnw",    "ports, port, how, value",                 "PORTS:READ",     "read an I/O port of 1, 2 or 4 bytes, or write it (how + EXO_PORT_WRITE; needs WRITE)") \
	X(52, interrupt,     "cn",      "interrupts, line",                        "INTERRUPTS:BIND", "let an interrupt line interrupt the caller once: EXO_EVENT_INTERRUPT") \
	X(53, disk_bind,     "ccn",     "disk, frames, first",                     "DISK:BIND",      "bind a ring frame to shares of a disk's time") \
	X(54, disk_kick,     "c",       "disk",                                    "DISK:BIND",      "take requests from the ring that is bound through it; returns how many") \
	X(55, volume_make,   "sccnnc",  "slot, blocks, frames, first, count, code", "BLOCKS:READ+WRITE, FRAME:WRITE, CODE:EXEC", "make blocks a volume, whose metadata an owner function judges; the root's node in the slot") \
	X(56, node_open,     "scnn",    "slot, node, block, rights",               "NODE",           "a node for metadata that a node's block owns") \
	X(57, node_load,     "cnn",     "node, block, buffer",                     "NODE:READ",      "reserve a buffer for metadata of the volume; 1: read it, then call again; 0: it is there") \
	X(58, node_change,   "co",      "node, offset",                            "NODE:WRITE",     "change a block of metadata as struct exo_node_change in the argument frame says") \
	X(59, env_reclaim,   "cn",      "account, id",                             "ACCOUNT:WRITE",  "end an environment that is charged to an account, or below it, whoever names it") \
	X(60, node_share,    "cnnnnn",  "root, block, share, left, buffer, end",   "NODE:WRITE",     "bound what is below a block of the root's: blocks that it gains, buffers that it lies in") \
	X(61, disk_reset,    "cn",      "disk, how",                               "DISK:CONTROL",   "have a disk that does not answer start anew, a step at a time; or give it up")

#ifndef __ASSEMBLER__
enum exo_call {
#define EXO_CALL_ENUM(nr, name, args, names, rights, meaning) EXO_CALL_##name = nr,
	EXO_CALLS(EXO_CALL_ENUM)
#undef EXO_CALL_ENUM
	EXO_CALL_COUNT
};
#endif

#endif
