/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals. In place of picolibc's signal.h, whose numbers this has, because that stops at 31: here are 63, those from
 * SIGRTMIN on with queues and order, and bit n - 1 of a set is signal n.
 */
#ifndef _SIGNAL_H_
#define _SIGNAL_H_

#include <sys/cdefs.h>
#define __need_size_t
#include <stddef.h>
#include <sys/_types.h>
#include <sys/_sigset.h>
#include <sys/_timespec.h>
#include <sys/_pthreadtypes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int sig_atomic_t;
typedef void (*_sig_func_ptr)(int);

#define SIG_DFL	((_sig_func_ptr)0)
#define SIG_IGN	((_sig_func_ptr)1)
#define SIG_ERR	((_sig_func_ptr)-1)

#define SIGHUP		1
#define SIGINT		2
#define SIGQUIT		3
#define SIGILL		4
#define SIGTRAP		5
#define SIGABRT		6
#define SIGIOT		SIGABRT
#define SIGEMT		7
#define SIGFPE		8
#define SIGKILL		9
#define SIGBUS		10
#define SIGSEGV		11
#define SIGSYS		12
#define SIGPIPE		13
#define SIGALRM		14
#define SIGTERM		15
#define SIGURG		16
#define SIGSTOP		17
#define SIGTSTP		18
#define SIGCONT		19
#define SIGCHLD		20
#define SIGCLD		SIGCHLD
#define SIGTTIN		21
#define SIGTTOU		22
#define SIGIO		23
#define SIGPOLL		SIGIO
#define SIGXCPU		24
#define SIGXFSZ		25
#define SIGVTALRM	26
#define SIGPROF		27
#define SIGWINCH	28
#define SIGLOST		29
#define SIGUSR1		30
#define SIGUSR2		31
#define SIGRTMIN	34
#define SIGRTMAX	63
#define _NSIG		64
#define NSIG		_NSIG

void (*signal(int number, void (*handler)(int)))(int);
int raise(int number);

#if __POSIX_VISIBLE
#ifndef _PID_T_DECLARED
typedef __pid_t pid_t;
#define _PID_T_DECLARED
#endif
#ifndef _UID_T_DECLARED
typedef __uid_t uid_t;
#define _UID_T_DECLARED
#endif
#ifndef _SIGSET_T_DECLARED
typedef __sigset_t sigset_t;
#define _SIGSET_T_DECLARED
#endif
typedef struct __exo_thread *pthread_t;

union sigval {
	int sival_int;
	void *sival_ptr;
};

typedef struct {
	int si_signo, si_code, si_errno;
	pid_t si_pid;		/* who sent it, or the child */
	uid_t si_uid;
	int si_status;		/* SIGCHLD: exit value or signal */
	void *si_addr;		/* exceptions: of the access or instruction */
	union sigval si_value;
	long si_band;
	int si_overrun, si_timerid;
} siginfo_t;

#define SI_USER		0	/* si_code: kill, raise ... */
#define SI_QUEUE	(-1)
#define SI_TIMER	(-2)
#define SI_MESGQ	(-3)
#define SI_ASYNCIO	(-4)
#define SI_TKILL	(-6)
#define SI_KERNEL	128
#define ILL_ILLOPC	1
#define ILL_ILLOPN	2
#define ILL_ILLADR	3
#define ILL_ILLTRP	4
#define ILL_PRVOPC	5
#define ILL_PRVREG	6
#define ILL_COPROC	7
#define ILL_BADSTK	8
#define FPE_INTDIV	1
#define FPE_INTOVF	2
#define FPE_FLTDIV	3
#define FPE_FLTOVF	4
#define FPE_FLTUND	5
#define FPE_FLTRES	6
#define FPE_FLTINV	7
#define FPE_FLTSUB	8
#define SEGV_MAPERR	1
#define SEGV_ACCERR	2
#define BUS_ADRALN	1
#define BUS_ADRERR	2
#define BUS_OBJERR	3
#define TRAP_BRKPT	1
#define TRAP_TRACE	2
#define CLD_EXITED	1
#define CLD_KILLED	2
#define CLD_DUMPED	3
#define CLD_TRAPPED	4
#define CLD_STOPPED	5
#define CLD_CONTINUED	6
#define POLL_IN		1
#define POLL_OUT	2
#define POLL_MSG	3
#define POLL_ERR	4
#define POLL_PRI	5
#define POLL_HUP	6

struct sigaction {
	union {
		void (*sa_handler)(int);
		void (*sa_sigaction)(int, siginfo_t *, void *);
	};
	sigset_t sa_mask;
	int sa_flags;
};

#define SA_NOCLDSTOP	0x01
#define SA_ONSTACK	0x02
#define SA_RESETHAND	0x04
#define SA_RESTART	0x08
#define SA_SIGINFO	0x10
#define SA_NOCLDWAIT	0x20
#define SA_NODEFER	0x40
#define SA_NOMASK	SA_NODEFER
#define SA_ONESHOT	SA_RESETHAND

#define SS_ONSTACK	1
#define SS_DISABLE	2
#define MINSIGSTKSZ	4096
#define SIGSTKSZ	16384

typedef struct sigaltstack {
	void *ss_sp;
	int ss_flags;
	size_t ss_size;
} stack_t;

#define SIG_SETMASK	0
#define SIG_BLOCK	1
#define SIG_UNBLOCK	2

#define SIGEV_NONE	1
#define SIGEV_SIGNAL	2
#define SIGEV_THREAD	3

struct sigevent {
	int sigev_notify, sigev_signo;
	union sigval sigev_value;
	void (*sigev_notify_function)(union sigval);
	pthread_attr_t *sigev_notify_attributes;
};

/* The registers that a handler of three arguments sees and may change. */
enum {
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RDI, REG_RSI, REG_RBP, REG_RBX,
	REG_RDX, REG_RAX, REG_RCX, REG_RSP, REG_RIP, REG_EFL, REG_CSGSFS, REG_ERR, REG_TRAPNO, REG_OLDMASK, REG_CR2,
	NGREG
};
typedef long long greg_t;
typedef greg_t gregset_t[NGREG];
typedef struct {
	gregset_t gregs;
	void *fpregs;		/* 512 bytes as FXSAVE has them; NULL: not saved */
} mcontext_t;
typedef struct ucontext {
	unsigned long uc_flags;
	struct ucontext *uc_link;
	stack_t uc_stack;
	mcontext_t uc_mcontext;
	sigset_t uc_sigmask;
} ucontext_t;

int kill(pid_t pid, int number);
int killpg(pid_t group, int number);
int pthread_kill(pthread_t thread, int number);
int pthread_sigmask(int how, const sigset_t *__restrict set, sigset_t *__restrict old);
int sigaction(int number, const struct sigaction *__restrict action, struct sigaction *__restrict old);
int sigaltstack(const stack_t *__restrict stack, stack_t *__restrict old);
int sigemptyset(sigset_t *set);
int sigfillset(sigset_t *set);
int sigaddset(sigset_t *set, int number);
int sigdelset(sigset_t *set, int number);
int sigismember(const sigset_t *set, int number);
int siginterrupt(int number, int interrupts);
int sigpending(sigset_t *set);
int sigprocmask(int how, const sigset_t *__restrict set, sigset_t *__restrict old);
int sigqueue(pid_t pid, int number, union sigval value);
int sigsuspend(const sigset_t *mask);
int sigwait(const sigset_t *__restrict set, int *__restrict number);
int sigwaitinfo(const sigset_t *__restrict set, siginfo_t *__restrict info);
int sigtimedwait(const sigset_t *__restrict set, siginfo_t *__restrict info,
		 const struct timespec *__restrict timeout);
void psignal(int number, const char *message);
void psiginfo(const siginfo_t *info, const char *message);
#endif

#if __XSI_VISIBLE || __MISC_VISIBLE
int sighold(int number);
int sigrelse(int number);
int sigignore(int number);
int sigpause(int number);
void (*sigset(int number, void (*handler)(int)))(int);
#define SIG_HOLD ((_sig_func_ptr)2)
#endif

#if __MISC_VISIBLE
#define SIG2STR_MAX 17
int sig2str(int number, char *name);
int str2sig(const char *__restrict name, int *__restrict number);
#endif
#if __BSD_VISIBLE
typedef _sig_func_ptr sig_t;
#endif
#if __GNU_VISIBLE
int sigisemptyset(const sigset_t *);
int sigandset(sigset_t *, const sigset_t *, const sigset_t *);
int sigorset(sigset_t *, const sigset_t *, const sigset_t *);
#endif
#if __GNU_VISIBLE || __BSD_VISIBLE
typedef _sig_func_ptr sighandler_t;
#endif

#ifdef __cplusplus
}
#endif

#endif
