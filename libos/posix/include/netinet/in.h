/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet addresses (POSIX.1-2017). IPv6 has its types and its text, no sockets.
 */
#ifndef POSIX_NETINET_IN_H
#define POSIX_NETINET_IN_H

#include <inttypes.h>
#include <sys/socket.h>

typedef uint16_t in_port_t;
typedef uint32_t in_addr_t;

struct in_addr {
	in_addr_t s_addr;
};

struct sockaddr_in {
	sa_family_t sin_family;
	in_port_t sin_port;
	struct in_addr sin_addr;
	unsigned char sin_zero[8];
};

struct in6_addr {
	union {
		uint8_t byte[16];
		uint16_t half[8];
		uint32_t word[4];
	} in6;
#define s6_addr		in6.byte
#define s6_addr16	in6.half
#define s6_addr32	in6.word
};

struct sockaddr_in6 {
	sa_family_t sin6_family;
	in_port_t sin6_port;
	uint32_t sin6_flowinfo;
	struct in6_addr sin6_addr;
	uint32_t sin6_scope_id;
};

struct ipv6_mreq {
	struct in6_addr ipv6mr_multiaddr;
	unsigned ipv6mr_interface;
};

struct ip_mreq {
	struct in_addr imr_multiaddr;
	struct in_addr imr_interface;
};

extern const struct in6_addr in6addr_any, in6addr_loopback;
#define IN6ADDR_ANY_INIT	{ { { 0 } } }
#define IN6ADDR_LOOPBACK_INIT	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } } }

#define IPPROTO_IP	0
#define IPPROTO_ICMP	1
#define IPPROTO_IGMP	2
#define IPPROTO_TCP	6
#define IPPROTO_UDP	17
#define IPPROTO_IPV6	41
#define IPPROTO_ICMPV6	58
#define IPPROTO_RAW	255

#define IPPORT_RESERVED	1024

#define INADDR_ANY		((in_addr_t)0x00000000)
#define INADDR_LOOPBACK		((in_addr_t)0x7f000001)
#define INADDR_BROADCAST	((in_addr_t)0xffffffff)
#define INADDR_NONE		((in_addr_t)0xffffffff)
#define INET_ADDRSTRLEN		16
#define INET6_ADDRSTRLEN	46

#define IN_CLASSA(a)	(((in_addr_t)(a) & 0x80000000) == 0)
#define IN_CLASSB(a)	(((in_addr_t)(a) & 0xc0000000) == 0x80000000)
#define IN_CLASSC(a)	(((in_addr_t)(a) & 0xe0000000) == 0xc0000000)
#define IN_CLASSD(a)	(((in_addr_t)(a) & 0xf0000000) == 0xe0000000)
#define IN_MULTICAST(a)	IN_CLASSD(a)

/* Options of IPPROTO_IP */
#define IP_TOS		1
#define IP_TTL		2
/* Multicast: there is none, so these are refused with ENOPROTOOPT. */
#define IP_MULTICAST_IF	32
#define IP_MULTICAST_TTL 33
#define IP_MULTICAST_LOOP 34
#define IP_ADD_MEMBERSHIP 35
#define IP_DROP_MEMBERSHIP 36
/* Options of IPPROTO_IPV6: there are no such sockets. */
#define IPV6_UNICAST_HOPS 16
#define IPV6_MULTICAST_IF 17
#define IPV6_MULTICAST_HOPS 18
#define IPV6_MULTICAST_LOOP 19
#define IPV6_JOIN_GROUP	20
#define IPV6_LEAVE_GROUP 21
#define IPV6_V6ONLY	26
#define IPTOS_LOWDELAY	0x10
#define IPTOS_THROUGHPUT 0x08
#define IPTOS_RELIABILITY 0x04

#define IN6_IS_ADDR_UNSPECIFIED(a)	(!(a)->s6_addr32[0] && !(a)->s6_addr32[1] && !(a)->s6_addr32[2] && \
					 !(a)->s6_addr32[3])
#define IN6_IS_ADDR_LOOPBACK(a)		(!(a)->s6_addr32[0] && !(a)->s6_addr32[1] && !(a)->s6_addr32[2] && \
					 (a)->s6_addr32[3] == htonl(1))
#define IN6_IS_ADDR_MULTICAST(a)	((a)->s6_addr[0] == 0xff)
#define IN6_IS_ADDR_LINKLOCAL(a)	((a)->s6_addr[0] == 0xfe && ((a)->s6_addr[1] & 0xc0) == 0x80)
#define IN6_IS_ADDR_SITELOCAL(a)	((a)->s6_addr[0] == 0xfe && ((a)->s6_addr[1] & 0xc0) == 0xc0)
#define IN6_IS_ADDR_V4MAPPED(a)		(!(a)->s6_addr32[0] && !(a)->s6_addr32[1] && \
					 (a)->s6_addr32[2] == htonl(0xffff))
#define IN6_IS_ADDR_V4COMPAT(a)		(!(a)->s6_addr32[0] && !(a)->s6_addr32[1] && !(a)->s6_addr32[2] && \
					 ntohl((a)->s6_addr32[3]) > 1)
#define IN6_ARE_ADDR_EQUAL(a, b)	((a)->s6_addr32[0] == (b)->s6_addr32[0] && \
					 (a)->s6_addr32[1] == (b)->s6_addr32[1] && \
					 (a)->s6_addr32[2] == (b)->s6_addr32[2] && \
					 (a)->s6_addr32[3] == (b)->s6_addr32[3])
#define IN6_IS_ADDR_MC_SCOPE(a, scope)	(IN6_IS_ADDR_MULTICAST(a) && ((a)->s6_addr[1] & 0xf) == (scope))
#define IN6_IS_ADDR_MC_NODELOCAL(a)	IN6_IS_ADDR_MC_SCOPE(a, 0x1)
#define IN6_IS_ADDR_MC_LINKLOCAL(a)	IN6_IS_ADDR_MC_SCOPE(a, 0x2)
#define IN6_IS_ADDR_MC_SITELOCAL(a)	IN6_IS_ADDR_MC_SCOPE(a, 0x5)
#define IN6_IS_ADDR_MC_ORGLOCAL(a)	IN6_IS_ADDR_MC_SCOPE(a, 0x8)
#define IN6_IS_ADDR_MC_GLOBAL(a)	IN6_IS_ADDR_MC_SCOPE(a, 0xe)

#ifdef __cplusplus
extern "C" {
#endif
uint32_t htonl(uint32_t x);
uint32_t ntohl(uint32_t x);
uint16_t htons(uint16_t x);
uint16_t ntohs(uint16_t x);
#ifdef __cplusplus
}
#endif
#define htonl(x)	((uint32_t)__builtin_bswap32((uint32_t)(x)))
#define ntohl(x)	((uint32_t)__builtin_bswap32((uint32_t)(x)))
#define htons(x)	((uint16_t)__builtin_bswap16((uint16_t)(x)))
#define ntohs(x)	((uint16_t)__builtin_bswap16((uint16_t)(x)))

#endif
