/* SPDX-License-Identifier: BSD-2-Clause */
/* XSI message queues: messages of at most 8192 bytes, 16384 bytes and 1024 messages in a queue. */
#ifndef EXO_POSIX_SYS_MSG_H
#define EXO_POSIX_SYS_MSG_H

#include <sys/ipc.h>
#include <time.h>

#define MSG_NOERROR	010000
#if __GNU_VISIBLE
#define MSG_EXCEPT	020000
#endif

typedef unsigned long msgqnum_t;
typedef unsigned long msglen_t;

struct msqid_ds {
	struct ipc_perm msg_perm;
	msgqnum_t msg_qnum;
	msglen_t msg_qbytes;
	pid_t msg_lspid, msg_lrpid;
	time_t msg_stime, msg_rtime, msg_ctime;
	msglen_t __msg_cbytes;
};

#if __MISC_VISIBLE
struct msgbuf {
	long mtype;
	char mtext[1];
};
#endif

#ifdef __cplusplus
extern "C" {
#endif
int msgctl(int, int, struct msqid_ds *);
int msgget(key_t, int);
ssize_t msgrcv(int, void *, size_t, long, int);
int msgsnd(int, const void *, size_t, int);
#ifdef __cplusplus
}
#endif

#endif
