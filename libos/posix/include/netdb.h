/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of hosts, services and protocols (POSIX.1-2017).
 *
 * Hosts are looked up in /etc/hosts, then by DNS; services in /etc/services, then in a short table of the library.
 */
#ifndef POSIX_NETDB_H
#define POSIX_NETDB_H

#include <netinet/in.h>

struct addrinfo {
	int ai_flags;
	int ai_family;
	int ai_socktype;
	int ai_protocol;
	socklen_t ai_addrlen;
	struct sockaddr *ai_addr;
	char *ai_canonname;
	struct addrinfo *ai_next;
};

#define AI_PASSIVE	0x0001
#define AI_CANONNAME	0x0002
#define AI_NUMERICHOST	0x0004
#define AI_V4MAPPED	0x0008
#define AI_ALL		0x0010
#define AI_ADDRCONFIG	0x0020
#define AI_NUMERICSERV	0x0400

#define NI_NUMERICHOST	1
#define NI_NUMERICSERV	2
#define NI_NOFQDN	4
#define NI_NAMEREQD	8
#define NI_DGRAM	16
#define NI_NUMERICSCOPE	256
#define NI_MAXHOST	1025
#define NI_MAXSERV	32

#define EAI_BADFLAGS	(-1)
#define EAI_NONAME	(-2)
#define EAI_AGAIN	(-3)
#define EAI_FAIL	(-4)
#define EAI_NODATA	(-5)
#define EAI_FAMILY	(-6)
#define EAI_SOCKTYPE	(-7)
#define EAI_SERVICE	(-8)
#define EAI_MEMORY	(-10)
#define EAI_SYSTEM	(-11)
#define EAI_OVERFLOW	(-12)

struct hostent {
	char *h_name;
	char **h_aliases;
	int h_addrtype;
	int h_length;
	char **h_addr_list;
};
#define h_addr	h_addr_list[0]

struct netent {
	char *n_name;
	char **n_aliases;
	int n_addrtype;
	uint32_t n_net;		/* as number, 127 for 127.0.0.0 */
};

struct servent {
	char *s_name;
	char **s_aliases;
	int s_port;
	char *s_proto;
};

struct protoent {
	char *p_name;
	char **p_aliases;
	int p_proto;
};

#define HOST_NOT_FOUND	1
#define TRY_AGAIN	2
#define NO_RECOVERY	3
#define NO_DATA		4
#define NO_ADDRESS	NO_DATA
#define IPPORT_RESERVED	1024

#ifdef __cplusplus
extern "C" {
#endif
extern _Thread_local int h_errno;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result);
void freeaddrinfo(struct addrinfo *result);
int getnameinfo(const struct sockaddr *address, socklen_t bytes, char *host, socklen_t host_bytes, char *service,
    socklen_t service_bytes, int flags);
const char *gai_strerror(int error);
struct hostent *gethostbyname(const char *name);
struct hostent *gethostbyaddr(const void *address, socklen_t bytes, int family);
const char *hstrerror(int error);
void herror(const char *text);
struct hostent *gethostent(void);
void sethostent(int stay);
void endhostent(void);
struct netent *getnetbyname(const char *name);
struct netent *getnetbyaddr(uint32_t number, int type);
struct netent *getnetent(void);
void setnetent(int stay);
void endnetent(void);
struct servent *getservbyname(const char *name, const char *protocol);
struct servent *getservbyport(int port, const char *protocol);
struct servent *getservent(void);
void setservent(int stay);
void endservent(void);
struct protoent *getprotobyname(const char *name);
struct protoent *getprotobynumber(int number);
struct protoent *getprotoent(void);
void setprotoent(int stay);
void endprotoent(void);
#ifdef __cplusplus
}
#endif

#endif
