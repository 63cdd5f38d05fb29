dnl SPDX-License-Identifier: BSD-2-Clause
dnl Tests of our own for configure.

dnl EXO_TARGET_TOOLS
dnl The tools that make guest code. The compiler is tested by compiling only: nothing can be linked or run for the
dnl guest here. TARGET_CFLAGS is added to the flags of kernel and user code alike.
AC_DEFUN([EXO_TARGET_TOOLS], [
AC_ARG_VAR([TARGET_CC], [compiler for the kernel, the libOSes and the programs])
AC_ARG_VAR([TARGET_CFLAGS], [further flags for it])
AC_ARG_VAR([TARGET_AR], [archiver for guest code])
AC_ARG_VAR([TARGET_NM], [symbol lister for guest code])
AC_ARG_VAR([TARGET_OBJCOPY], [copier of object files for guest code])
AC_ARG_VAR([TARGET_OBJDUMP], [disassembler for guest code])
AC_ARG_VAR([TARGET_SIZE], [section sizes of guest code])
AS_IF([test "$ARCH" = x86_64], [exo_machine=x86_64], [exo_machine=$ARCH])
AC_CHECK_PROGS([TARGET_CC], [$exo_machine-elf-gcc $exo_machine-linux-gnu-gcc gcc clang])
AC_CHECK_PROGS([TARGET_AR], [$exo_machine-elf-ar $exo_machine-linux-gnu-ar ar llvm-ar])
AC_CHECK_PROGS([TARGET_NM], [$exo_machine-elf-nm $exo_machine-linux-gnu-nm nm llvm-nm])
AC_CHECK_PROGS([TARGET_OBJCOPY], [$exo_machine-elf-objcopy $exo_machine-linux-gnu-objcopy objcopy llvm-objcopy])
AC_CHECK_PROGS([TARGET_OBJDUMP], [$exo_machine-elf-objdump $exo_machine-linux-gnu-objdump objdump llvm-objdump])
AC_CHECK_PROGS([TARGET_SIZE], [$exo_machine-elf-size $exo_machine-linux-gnu-size size llvm-size])
AS_IF([test -z "$TARGET_CC"], [AC_MSG_ERROR([no C compiler for the guest; set TARGET_CC or run ./bootstrap])])

AC_MSG_CHECKING([whether $TARGET_CC makes freestanding $ARCH code])
exo_save_CC=$CC
exo_save_CFLAGS=$CFLAGS
CC=$TARGET_CC
CFLAGS="-std=gnu11 -O2 -ffreestanding -nostdlib -fno-pic -mcmodel=kernel -mno-red-zone -mgeneral-regs-only $TARGET_CFLAGS"
AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#include <stdatomic.h>
#include <stdint.h>
_Static_assert(sizeof(void *) == 8, "64-bit pointers");
#ifndef __x86_64__
#error "not an x86-64 compiler"
#endif
unsigned long long take(_Atomic uint64_t *from, unsigned long long by);
unsigned long long take(_Atomic uint64_t *from, unsigned long long by)
{
	return (unsigned long long)(((unsigned __int128)atomic_fetch_add(from, 1) * by) >> 64);
}]])],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([$TARGET_CC cannot compile for the guest; set TARGET_CC to a gcc or clang for x86-64])])
CC=$exo_save_CC
CFLAGS=$exo_save_CFLAGS

AC_ARG_VAR([BPF_CC], [clang, which compiles programs that run in the kernel])
AC_CHECK_PROGS([BPF_CC], [clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14])
AC_MSG_CHECKING([whether ${BPF_CC:-clang} compiles for eBPF])
AS_IF([test -n "$BPF_CC" && $BPF_CC -target bpf -mcpu=v3 -O2 -x c -c -o /dev/null /dev/null 2>/dev/null],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([programs that run in the kernel need clang with the bpf target; install clang, run ./bootstrap, or set BPF_CC])])

TARGET_INCLUDE=`$TARGET_CC -print-file-name=include`
TARGET_LIBGCC=`$TARGET_CC -print-libgcc-file-name`
AC_SUBST([TARGET_INCLUDE])
dnl The kernel uses no vector registers, so its stack need not be aligned for them.
KERNEL_STACK_FLAG=
for flag in -mpreferred-stack-boundary=3 -mstack-alignment=8; do
	if $TARGET_CC -Werror -mgeneral-regs-only $flag -x c -c -o /dev/null /dev/null 2>/dev/null; then
		KERNEL_STACK_FLAG=$flag
		break
	fi
done
AC_SUBST([KERNEL_STACK_FLAG])
dnl What is made small, as far as the compiler can: values that are kept over a loop or a branch cost saved registers.
for KERNEL_SMALL_FLAGS in '-Oz -fno-tree-loop-im -fno-move-loop-invariants -fno-tree-dominator-opts' -Oz -Os; do
	if $TARGET_CC -Werror $KERNEL_SMALL_FLAGS -x c -c -o /dev/null /dev/null 2>/dev/null; then
		break
	fi
done
AC_SUBST([KERNEL_SMALL_FLAGS])
AC_SUBST([TARGET_LIBGCC])
])

dnl EXO_SANITIZERS
dnl SANITIZE is what unit tests are compiled and linked with: address and undefined-behaviour sanitizers, if they link.
AC_DEFUN([EXO_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
	[AS_HELP_STRING([--disable-sanitizers], [unit tests without address and undefined-behaviour sanitizers])],
	[], [enable_sanitizers=auto])
SANITIZE=
AS_IF([test "$enable_sanitizers" != no], [
	SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
	AC_MSG_CHECKING([whether $CC links with $SANITIZE])
	exo_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $SANITIZE"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		AS_IF([test "$enable_sanitizers" = yes], [AC_MSG_ERROR([the sanitizers asked for do not link])])
		SANITIZE=])
	CFLAGS=$exo_save_CFLAGS
])
AC_SUBST([SANITIZE])
])
