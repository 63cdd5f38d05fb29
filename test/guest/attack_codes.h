/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that user code must not execute, or by which it might harm: their bytes, and which exception must come
 * (AMD64 Architecture Programmer's Manual, volumes 2 and 3). Behind the bytes lies int3.
 */
#ifndef TEST_GUEST_ATTACK_CODES_H
#define TEST_GUEST_ATTACK_CODES_H

#include <stddef.h>

#define CODE(name, bytes, wanted, ...) \
	{ \
		name, bytes, sizeof(bytes) - 1, wanted, __VA_ARGS__ \
	}
#define RESUMES	3	/* it was executed, harmlessly, or by an emulator that is lax: the int3 behind it came */

static const struct code {
	const char *name;
	const char *bytes;
	size_t count;
	int wanted, or ;
} codes[] = {
	CODE("cli", "\xfa", 13, 13),
	CODE("sti", "\xfb", 13, 13),
	CODE("hlt", "\xf4", 13, 13),
	CODE("out to the end port", "\xb0\x10\xe6\xf4", 13, 13),
	CODE("out dx", "\x66\xba\xf4\x00\xef", 13, 13),
	CODE("outb 0xe9", "\xb0\x68\xe6\xe9", 13, 13),
	CODE("in", "\xe4\x60", 13, 13),
	CODE("in dx", "\xed", 13, 13),
	CODE("rep outsb", "\xf3\x6e", 13, 13),
	CODE("insb", "\x6c", 13, 13),
	CODE("lgdt", "\x0f\x01\x14\x24", 13, 13),
	CODE("lidt", "\x0f\x01\x1c\x24", 13, 13),
	CODE("sgdt", "\x0f\x01\x44\x24\xf0", 13, RESUMES),
	CODE("sidt", "\x0f\x01\x4c\x24\xf0", 13, RESUMES),
	CODE("sldt", "\x0f\x00\xc0", 13, RESUMES),
	CODE("str", "\x0f\x00\xc8", 13, RESUMES),
	CODE("smsw", "\x0f\x01\xe0", 13, RESUMES),
	CODE("lmsw", "\x0f\x01\xf0", 13, 13),
	CODE("lldt", "\x31\xc0\x0f\x00\xd0", 13, 13),
	CODE("ltr", "\x66\xb8\x28\x00\x0f\x00\xd8", 13, 13),
	CODE("clts", "\x0f\x06", 13, 13),
	CODE("read cr0", "\x0f\x20\xc0", 13, 13),
	CODE("write cr0", "\x0f\x22\xc0", 13, 13),
	CODE("read cr3", "\x0f\x20\xd8", 13, 13),
	CODE("write cr3", "\x0f\x22\xd8", 13, 13),
	CODE("write cr4", "\x0f\x22\xe0", 13, 13),
	CODE("write cr8", "\x44\x0f\x22\xc0", 13, 13),
	CODE("read dr7", "\x0f\x21\xf8", 13, 13),
	CODE("write dr0", "\x0f\x23\xc0", 13, 13),
	CODE("rdmsr", "\xb9\x80\x00\x00\xc0\x0f\x32", 13, 13),
	CODE("wrmsr", "\xb9\x82\x00\x00\xc0\x0f\x30", 13, 13),
	CODE("rdpmc", "\x31\xc9\x0f\x33", 13, 6),
	CODE("invlpg", "\x0f\x01\x3c\x24", 13, 13),
	CODE("wbinvd", "\x0f\x09", 13, 13),
	CODE("invd", "\x0f\x08", 13, 13),
	CODE("swapgs", "\x0f\x01\xf8", 13, 6),
	CODE("sysretq", "\x48\x0f\x07", 13, 13),
	CODE("sysret", "\x0f\x07", 13, 13),
	CODE("sysenter", "\x0f\x34", 13, 6),
	CODE("sysexit", "\x0f\x35", 13, 6),
	CODE("rsm", "\x0f\xaa", 6, 13),
	CODE("xsetbv", "\x31\xc9\x0f\x01\xd1", 6, 13),
	CODE("xgetbv", "\x31\xc9\x0f\x01\xd0", 6, 13),
	CODE("vmcall", "\x0f\x01\xc1", 6, 13),
	CODE("vmmcall", "\x0f\x01\xd9", 6, 13),
	CODE("vmrun", "\x0f\x01\xd8", 6, 13),
	CODE("stgi", "\x0f\x01\xdc", 6, 13),
	CODE("monitor", "\x0f\x01\xc8", 6, 13),
	CODE("mwait", "\x0f\x01\xc9", 6, 13),
	CODE("clac", "\x0f\x01\xca", 6, 6),
	CODE("stac", "\x0f\x01\xcb", 6, 6),
	CODE("icebp", "\xf1", 1, 6),
	CODE("ud2", "\x0f\x0b", 6, 6),
	CODE("lock nop", "\xf0\x90", 6, 6),
	CODE("division by zero", "\x31\xc9\xf7\xf1", 0, 0),
	CODE("into", "\xce", 6, 6),
	CODE("push es", "\x06", 6, 6),
	CODE("far call", "\xff\x1c\x24", 13, 14),
	CODE("iretq to the kernel's segment",
	    "\x48\x83\xec\x28\x48\xc7\x04\x24\x00\x10\x40\x00\x48\xc7\x44\x24\x08\x08"
	    "\x00\x00\x00\x48\xc7\x44\x24\x20\x10\x00\x00\x00\x48\xcf",
	    13, 13),
	CODE("lretq to the kernel's segment", "\x6a\x08\x68\x00\x00\x40\x00\x48\xcb", 13, 13),
	CODE("ss of the kernel", "\x66\xb8\x10\x00\x8e\xd0", 13, 13),
	CODE("ds of the kernel", "\x66\xb8\x10\x00\x8e\xd8", 13, 13),
	CODE("gs is the TSS", "\x66\xb8\x2b\x00\x8e\xe8", 13, 13),
	CODE("fs is code", "\x66\xb8\x23\x00\x8e\xe0", RESUMES, 13),
	CODE("null ds, es, fs, gs", "\x31\xc0\x8e\xd8\x8e\xc0\x8e\xe0\x8e\xe8", RESUMES, RESUMES),
	CODE("a segment beyond the table", "\x66\xb8\xfb\xff\x8e\xe8", 13, 13),
	CODE("ltr by call gate selectors", "\x66\xb8\x33\x00\x8e\xd8", 13, 13),
	CODE("mov ss and a call", "\x8c\xd0\x8e\xd0\x31\xc0\x0f\x05", RESUMES, RESUMES),
	CODE("mov ss right before syscall", "\x31\xc0\x8c\xd3\x8e\xd3\x0f\x05", RESUMES, RESUMES),
	CODE("mov ss right before int3", "\x8c\xd0\x8e\xd0\xcc", 3, 3),
	CODE("single step, mov ss, syscall",
	    "\x8c\xd3\x9c\x48\x81\x0c\x24\x00\x01\x00\x00\x9d\x8e\xd3\x0f\x05", 1, 1),
	CODE("single step into syscall", "\x31\xc0\x9c\x48\x81\x0c\x24\x00\x01\x00\x00\x9d\x0f\x05", 1, 1),
	CODE("all flags, then a call", "\x48\xc7\xc0\xff\xfe\xff\xff\x50\x9d\x31\xc0\x0f\x05", RESUMES, 17),
	CODE("NT and a call", "\x9c\x48\x81\x0c\x24\x00\x40\x00\x00\x9d\x31\xc0\x0f\x05", RESUMES, RESUMES),
	CODE("NT and iretq", "\x9c\x48\x81\x0c\x24\x00\x40\x00\x00\x9d\x48\xcf", 13, 13),
	CODE("a call with rsp out of range",
	    "\x48\xb8\x00\x00\x00\x00\x00\x80\x00\x00\x48\x89\xc4\x31\xc0\x0f\x05", RESUMES, RESUMES),
	CODE(
	    "push with rsp out of range", "\x48\xb8\x00\x10\x00\x00\x00\x80\x00\x00\x48\x89\xc4\x50", 12, 13),
	CODE("rsp in the kernel's half, a call", "\x48\xc7\xc4\x00\x00\x10\x80\x31\xc0\x0f\x05", RESUMES,
	    RESUMES),
	CODE("rsp in the kernel's half, push", "\x48\xc7\xc4\x00\x00\x10\x80\x50", 14, 14),
	CODE("rsp in the kernel's half, ud2", "\x48\xc7\xc4\x00\x00\x10\x80\x0f\x0b", 6, 6),
	CODE("rsp in the direct map, int3", "\x48\xbc\x00\x00\x10\x00\x00\x80\xff\xff\xcc", 3, 3),
	CODE("rsp 0, division", "\x31\xe4\x31\xc9\xf7\xf1", 0, 0),
	CODE("jump out of range", "\x48\xb8\x00\x00\x00\x00\x00\x80\x00\x00\xff\xe0", 13, 13),
	CODE("jump to the kernel", "\x48\xc7\xc0\x00\x00\x10\x80\xff\xe0", 14, 14),
	CODE("jump to the direct map", "\x48\xb8\x00\x00\x10\x00\x00\x80\xff\xff\xff\xe0", 14, 14),
	CODE("jump to data", "\xb8\x00\x20\x5f\x00\xff\xe0", 14, 14),
	CODE("jump to 0", "\x31\xc0\xff\xe0", 14, 14),
	CODE("read the kernel", "\x48\xc7\xc0\x00\x00\x10\x80\x8a\x18", 14, 14),
	CODE("write the kernel", "\x48\xc7\xc0\x00\x00\x10\x80\x88\x18", 14, 14),
	CODE("read the direct map", "\x48\xb8\x00\x00\x10\x00\x00\x80\xff\xff\x8a\x18", 14, 14),
	CODE("write the direct map", "\x48\xb8\x00\x00\x10\x00\x00\x80\xff\xff\x88\x18", 14, 14),
	CODE("read out of range", "\x48\xb8\x00\x00\x00\x00\x00\x80\x00\x00\x8a\x18", 13, 13),
	CODE("write its code", "\x88\x05\xfa\xff\xff\xff", 14, 14),
	CODE("write its capability table", "\xb8\x00\x40\x5f\x00\x88\x18", 14, 14),
	CODE("mxcsr with reserved bits", "\x6a\xff\x0f\xae\x14\x24", 13, RESUMES),
	CODE("fxrstor of such an image",
	    "\x48\x81\xec\x00\x03\x00\x00\x48\x83\xe4\xf0\xc7\x44\x24\x18\xff\xff\xff\xff"
	    "\x0f\xae\x0c\x24",
	    13, RESUMES),
	CODE("an x87 exception that waits, over a call",
	    "\x6a\x00\xd9\x2c\x24\xd9\xe8\xd9\xee\xde\xf9\x31\xc0\x0f\x05\xb8\x12\x00\x00\x00\x31\xff\x90\x9b",
	    16, 16),
	CODE("an SSE exception", "\x6a\x00\x0f\xae\x14\x24\x0f\x57\xc0\xf3\x0f\x5e\xc0", 19, RESUMES),
	CODE("an avx instruction", "\xc5\xfc\x57\xc0", 6, 6),
	CODE("the largest call number", "\x48\xc7\xc0\xff\xff\xff\xff\x0f\x05", RESUMES, RESUMES),
	CODE("string copy backwards over a call", "\xfd\x31\xc0\x0f\x05", RESUMES, RESUMES),
};

#endif
