/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How lwIP is configured: IPv4, TCP, UDP, DHCP and DNS behind BSD sockets, over libos/core's threads.
 *
 * There is no lwIP thread: libos/net/net.c polls the rings and runs lwIP's timers from the thread poller, when no
 * thread is ready. Threads are cooperative and lwIP never blocks inside its core, so its core lock is empty but for
 * one thing: what was sent leaves when the lock is released and no other thread is ready.
 *
 * All memory that lwIP takes comes from libos/net/memory.c, in the transmit frames, so that packets go to the device
 * by reference. Limits are those of that memory, but for the number of sockets.
 */
#ifndef LIBOS_NET_LWIPOPTS_H
#define LIBOS_NET_LWIPOPTS_H

#include <stddef.h>

#define NO_SYS				0
#define SYS_LIGHTWEIGHT_PROT		0
#define LWIP_TCPIP_CORE_LOCKING		1
#define LWIP_TCPIP_CORE_LOCKING_INPUT	1
#define LOCK_TCPIP_CORE()		((void)0)
#define UNLOCK_TCPIP_CORE()		net_unlock()
void net_unlock(void);
#define LWIP_TIMERS			1
#define LWIP_MPU_COMPATIBLE		0
#define TCPIP_MBOX_SIZE			4

/* Memory */
#define MEM_ALIGNMENT			8
#define MEM_CUSTOM_ALLOCATOR		1
#define MEM_CUSTOM_MALLOC		net_alloc
#define MEM_CUSTOM_CALLOC		net_calloc
#define MEM_CUSTOM_FREE			net_free
void *net_alloc(size_t bytes);
void *net_calloc(size_t count, size_t bytes);
void net_free(void *block);
#define MEMP_MEM_MALLOC			1
#define MEMP_NUM_NETCONN		1024
#define MEMP_NUM_TCP_PCB		1024
#define MEMP_NUM_TCP_SEG		4096	/* checked against TCP_SND_QUEUELEN only */
#define LWIP_SUPPORT_CUSTOM_PBUF	1
#define PBUF_LINK_HLEN			14
#define PBUF_POOL_BUFSIZE		1600

/* Protocols */
#define LWIP_IPV4			1
#define LWIP_IPV6			0
#define LWIP_ARP			1
#define ARP_TABLE_SIZE			32
#define ARP_QUEUEING			1
#define ARP_QUEUE_LEN			8
#define ETHARP_TRUST_IP_MAC		0
#define LWIP_ICMP			1
#define LWIP_RAW			1
#define LWIP_IGMP			0
#define LWIP_DHCP			1
#define LWIP_DHCP_DOES_ACD_CHECK	0
#define LWIP_ACD			0
#define LWIP_AUTOIP			0
#define LWIP_DNS			1
#define IP_REASSEMBLY			1
#define IP_FRAG				1
#define IP_REASS_MAX_PBUFS		64
#define MEMP_NUM_REASSDATA		8
#define IP_FORWARD			0
#define IP_OPTIONS_ALLOWED		1
#define LWIP_BROADCAST_PING		0
#define LWIP_MULTICAST_PING		0

/* TCP */
#define TCP_MSS				1460
#define TCP_WND				(24 * TCP_MSS)
#define TCP_SND_BUF			(88 * TCP_MSS)	/* of one connection; net_send_credit gives less when there are many */
#define TCP_SND_QUEUELEN		4096	/* two for each of the smallest segments (NET_MSS_LEAST) */
#define TCP_SNDLOWAT			(2 * TCP_MSS)	/* below what net_send_credit leaves a connection */
#define TCP_LISTEN_BACKLOG		0	/* lwIP's ends at 255: stack.c bounds what is half open by memory */
#define TCP_DEFAULT_LISTEN_BACKLOG	255
#define TCP_QUEUE_OOSEQ			1
#define TCP_OOSEQ_PBUFS_LIMIT(pcb)	net_ooseq_packets()
unsigned short net_ooseq_packets(void);	/* stack.c: of a connection, now */
#define TCP_MSL				1000	/* ms; net.c also keeps no more than NET_TIME_WAIT_MAX ended connections */
#define LWIP_TCP_KEEPALIVE		1
#define LWIP_TCP_SACK_OUT		0
#define LWIP_TCP_TIMESTAMPS		0
#define LWIP_WND_SCALE			1	/* so that more than 64 KiB can be on their way; ... */
#define TCP_RCV_SCALE			0	/* ... what is received stays in windows of TCP_WND */

/* Sockets */
#define LWIP_NETCONN			1
#define LWIP_SOCKET			1
#define LWIP_COMPAT_SOCKETS		0
#define LWIP_POSIX_SOCKETS_IO_NAMES	0
#define LWIP_SOCKET_SELECT		1
#define LWIP_SOCKET_POLL		1
#define LWIP_SO_SNDTIMEO		1
#define LWIP_SO_RCVTIMEO		1
#define LWIP_SO_RCVBUF			1
#define RECV_BUFSIZE_DEFAULT		65536
#define LWIP_SO_LINGER			1
#define SO_REUSE			1
#define SO_REUSE_RXTOALL		0
#define LWIP_TIMEVAL_PRIVATE		0
#define LWIP_ERRNO_STDINCLUDE		1
#define DEFAULT_TCP_RECVMBOX_SIZE	64
#define DEFAULT_UDP_RECVMBOX_SIZE	64
#define DEFAULT_RAW_RECVMBOX_SIZE	16
#define DEFAULT_ACCEPTMBOX_SIZE		2048
#define LWIP_NETCONN_SEM_PER_THREAD	0
#define LWIP_NETCONN_FULLDUPLEX		0
#define LWIP_TCP_CLOSE_TIMEOUT_MS_DEFAULT 20000

/* Interface */
#define LWIP_NETIF_HOSTNAME		1
#define LWIP_NETIF_STATUS_CALLBACK	1
#define LWIP_NETIF_LINK_CALLBACK	0
#define LWIP_NETIF_LOOPBACK		1
#define LWIP_HAVE_LOOPIF		0	/* net.c makes it: lwIP's wants lwIP's thread */
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0
#define LWIP_LOOPBACK_MAX_PBUFS		64
#define LWIP_NETIF_TX_SINGLE_PBUF	0

/* Checksums: made and checked in software, eight bytes at a time (checksum.c). */
#define LWIP_CHKSUM			net_checksum
unsigned short net_checksum(const void *data, int bytes);

/* Initial sequence numbers as RFC 6528 says (net.c). */
#define LWIP_HOOK_FILENAME		"libos/net/hooks.h"
#define LWIP_HOOK_TCP_ISN		net_initial_sequence

#define LWIP_STATS			0

#endif
