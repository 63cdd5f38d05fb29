/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ifconfig [NAME]: what network interfaces there are. It only shows: a machine's address comes from its configuration or
 * DHCP.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void show_address(const char *what, const struct sockaddr *address)
{
	char text[INET_ADDRSTRLEN];

	if (address && ((const struct sockaddr_in *)address)->sin_addr.s_addr)
		printf("  %s %s", what, inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof(text)));
}

static void show_hardware(int fd, const char *name, unsigned flags)
{
	struct ifreq ask;
	const unsigned char *byte = (const unsigned char *)ask.ifr_hwaddr.sa_data;

	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "%s", name);
	if (!(flags & IFF_LOOPBACK) && !ioctl(fd, SIOCGIFHWADDR, &ask))
		printf("        ether %02x:%02x:%02x:%02x:%02x:%02x\n", byte[0], byte[1], byte[2], byte[3], byte[4], byte[5]);
}

static void show(int fd, const struct ifaddrs *one)
{
	struct ifreq ask;

	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "%s", one->ifa_name);
	printf("%s: flags=%x<%s%s%s%s>", one->ifa_name, one->ifa_flags, one->ifa_flags & IFF_UP ? "UP" : "DOWN",
	    one->ifa_flags & IFF_BROADCAST ? ",BROADCAST" : "", one->ifa_flags & IFF_LOOPBACK ? ",LOOPBACK" : "",
	    one->ifa_flags & IFF_RUNNING ? ",RUNNING" : "");
	if (!ioctl(fd, SIOCGIFMTU, &ask))
		printf("  mtu %d", ask.ifr_mtu);
	printf("\n      ");
	show_address("inet", one->ifa_addr);
	show_address("netmask", one->ifa_netmask);
	if (one->ifa_flags & IFF_BROADCAST)
		show_address("broadcast", one->ifa_broadaddr);
	printf("\n");
	show_hardware(fd, one->ifa_name, one->ifa_flags);
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), shown = 0;
	struct ifaddrs *list;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: ifconfig [NAME]\n");
		return 2;
	}
	if (fd < 0 || getifaddrs(&list)) {
		perror("ifconfig");
		return 1;
	}
	for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
		if (argc == 2 && strcmp(argv[1], one->ifa_name))
			continue;
		show(fd, one);
		shown++;
	}
	freeifaddrs(list);
	if (argc == 2 && !shown)
		fprintf(stderr, "ifconfig: %s: there is no such interface\n", argv[1]);
	return argc == 2 && !shown;
}
