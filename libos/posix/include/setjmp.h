/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and the jumps that keep the signal mask.
 */
#ifndef EXO_LIBC_SETJMP_H
#define EXO_LIBC_SETJMP_H

#include_next <setjmp.h>
#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	jmp_buf __registers;
	int __saved;
	unsigned long __mask;
} sigjmp_buf[1];

int sigsetjmp(sigjmp_buf place, int save) __attribute__((returns_twice));
void siglongjmp(sigjmp_buf place, int value) __attribute__((noreturn));
int _setjmp(jmp_buf place) __attribute__((returns_twice));
void _longjmp(jmp_buf place, int value) __attribute__((noreturn));

/* First the mask, then the registers, of the caller itself. */
int __sigjmp_save(sigjmp_buf place, int save);
#define sigsetjmp(place, save)	(__sigjmp_save(place, save), setjmp((place)->__registers))

#ifdef __cplusplus
}
#endif

#endif
