/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets (POSIX.1-2017) of the libOS posix. The keeper is compiled with this header, too.
 */
#ifndef POSIX_SYS_SOCKET_H
#define POSIX_SYS_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/_timespec.h>

typedef uint32_t socklen_t;
typedef uint16_t sa_family_t;

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

struct sockaddr_storage {
	sa_family_t ss_family;
	char ss_bytes[126 - sizeof(uint64_t)];
	uint64_t ss_align;
};

#if !defined(POSIX_IOVEC) && !defined(__iovec_defined)
#define POSIX_IOVEC
struct iovec {
	void *iov_base;
	size_t iov_len;
};
#endif

struct msghdr {
	void *msg_name;
	socklen_t msg_namelen;
	struct iovec *msg_iov;
	int msg_iovlen;
	void *msg_control;
	socklen_t msg_controllen;
	int msg_flags;
};

struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned int msg_len;
};

struct cmsghdr {
	socklen_t cmsg_len;
	int cmsg_level;
	int cmsg_type;
};

#define CMSG_ALIGN(bytes)	(((bytes) + 7) & ~(size_t)7)
#define CMSG_SPACE(bytes)	(CMSG_ALIGN(sizeof(struct cmsghdr)) + CMSG_ALIGN(bytes))
#define CMSG_LEN(bytes)		(CMSG_ALIGN(sizeof(struct cmsghdr)) + (bytes))
#define CMSG_DATA(c)		((unsigned char *)(c) + CMSG_ALIGN(sizeof(struct cmsghdr)))
#define CMSG_FIRSTHDR(m)	((m)->msg_controllen >= sizeof(struct cmsghdr) ? \
				 (struct cmsghdr *)(m)->msg_control : (struct cmsghdr *)0)
#define CMSG_NXTHDR(m, c) \
	((char *)(c) + CMSG_ALIGN((c)->cmsg_len) + CMSG_ALIGN(sizeof(struct cmsghdr)) > \
	 (char *)(m)->msg_control + (m)->msg_controllen ? (struct cmsghdr *)0 : \
	 (struct cmsghdr *)((char *)(c) + CMSG_ALIGN((c)->cmsg_len)))

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS	2

struct ucred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

struct linger {
	int l_onoff;
	int l_linger;
};

#define AF_UNSPEC	0
#define AF_UNIX		1
#define AF_LOCAL	AF_UNIX
#define AF_INET		2
#define AF_INET6	10	/* the type is there, no socket of it can be made */
#define PF_UNSPEC	AF_UNSPEC
#define PF_UNIX		AF_UNIX
#define PF_LOCAL	AF_LOCAL
#define PF_INET		AF_INET
#define PF_INET6	AF_INET6

#define SOCK_STREAM	1
#define SOCK_DGRAM	2
#define SOCK_RAW	3
#define SOCK_RDM	4
#define SOCK_SEQPACKET	5
#define SOCK_NONBLOCK	0x10000
#define SOCK_CLOEXEC	0x20000

#define SOL_SOCKET	0xfff
#define SO_DEBUG	1
#define SO_REUSEADDR	2
#define SO_TYPE		3
#define SO_ERROR	4
#define SO_DONTROUTE	5
#define SO_BROADCAST	6
#define SO_SNDBUF	7
#define SO_RCVBUF	8
#define SO_KEEPALIVE	9
#define SO_OOBINLINE	10
#define SO_LINGER	13
#define SO_REUSEPORT	15
#define SO_PASSCRED	16
#define SO_PEERCRED	17
#define SO_RCVLOWAT	18
#define SO_SNDLOWAT	19
#define SO_RCVTIMEO	20
#define SO_SNDTIMEO	21
#define SO_ACCEPTCONN	30
#define SO_PROTOCOL	38
#define SO_DOMAIN	39

#define MSG_OOB		0x0001
#define MSG_PEEK	0x0002
#define MSG_DONTROUTE	0x0004
#define MSG_CTRUNC	0x0008
#define MSG_TRUNC	0x0020
#define MSG_DONTWAIT	0x0040
#define MSG_EOR		0x0080
#define MSG_WAITALL	0x0100
#define MSG_NOSIGNAL	0x4000
#define MSG_MORE	0x8000
#define MSG_WAITFORONE	0x10000	/* recvmmsg: only for the first */
#define MSG_CMSG_CLOEXEC 0x40000000

#define SHUT_RD		0
#define SHUT_WR		1
#define SHUT_RDWR	2

#define SOMAXCONN	1024

#ifdef __cplusplus
extern "C" {
#endif
int socket(int domain, int type, int protocol);
int socketpair(int domain, int type, int protocol, int fd[2]);
int bind(int fd, const struct sockaddr *address, socklen_t bytes);
int listen(int fd, int backlog);
int accept(int fd, struct sockaddr *address, socklen_t *bytes);
int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int connect(int fd, const struct sockaddr *address, socklen_t bytes);
int shutdown(int fd, int how);
int sockatmark(int fd);
int getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int getpeername(int fd, struct sockaddr *address, socklen_t *bytes);
int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
ssize_t recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t recvfrom(int fd, void *buffer, size_t bytes, int flags, struct sockaddr *from, socklen_t *from_bytes);
ssize_t recvmsg(int fd, struct msghdr *message, int flags);
ssize_t send(int fd, const void *buffer, size_t bytes, int flags);
ssize_t sendto(int fd, const void *buffer, size_t bytes, int flags, const struct sockaddr *to, socklen_t to_bytes);
ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
/* The time is looked at between messages only, as on Linux. */
int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout);
int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
#ifdef __cplusplus
}
#endif

#endif
