/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * readv and writev on any descriptor: at once where it can, else piece by piece; a short piece ends the call.
 */
#include <unistd.h>
#include <sys/uio.h>
#include "libos/uni/fd.h"

ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	ssize_t total = 0;

	for (int i = 0; i < count; i++) {
		ssize_t done = read(fd, pieces[i].iov_base, pieces[i].iov_len);
		if (done < 0)
			return total ? total : -1;
		total += done;
		if ((size_t)done < pieces[i].iov_len)
			break;
	}
	return total;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	ssize_t total = 0;
	struct fd *whole = fd_get(fd);

	if (whole && whole->ops->writev) {
		total = whole->ops->writev(whole, pieces, count);
		fd_put(whole);
		return total;
	}
	if (whole)
		fd_put(whole);
	for (int i = 0; i < count; i++) {
		ssize_t done = write(fd, pieces[i].iov_base, pieces[i].iov_len);
		if (done < 0)
			return total ? total : -1;
		total += done;
		if ((size_t)done < pieces[i].iov_len)
			break;
	}
	return total;
}
