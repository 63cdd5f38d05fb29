/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the verbs of `exo bpf` share. To add one: a function here, a line in main.c's table.
 */
#ifndef TOOLS_BPF_TOOL_H
#define TOOLS_BPF_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A verb gets the words behind it; its result is the exit status. */
int verb_check(int argc, char **argv);
int verb_dump(int argc, char **argv);
int verb_plugin(int argc, char **argv);
int verb_run(int argc, char **argv);

/* "exo bpf: ..." on standard error; returns 1. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A row of bytes that grows. */
struct bytes {
	uint8_t *at;
	size_t count, room;
};
/* Append the bytes that a word of hexadecimal digits gives: one byte of one or two digits, or several of two each,
 * "0x" or not before it. false: it is none. */
bool bytes_hex(struct bytes *bytes, const char *word, size_t length);

struct bpf_program;
struct exo_code_report;
/* explain.c: ask the verifier, as bpf_check_step answers in the end; and say what is in the report. */
int check_program(struct bpf_program *program, struct exo_code_report *report);
void explain(FILE *file, const struct bpf_program *program, const struct exo_code_report *report);

/* plugin_vm.c: run a program in the machine; prints r0, or says what is wrong. `how` is the guest program's word. */
int plugin_vm(const struct bytes *program, const struct bytes *memory, const char *how);

#endif
