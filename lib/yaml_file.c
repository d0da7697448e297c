// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/yaml_doc.h"

#define FILE_MAX ((size_t)256 << 20)

static int read_all(int fd, char **text, size_t *len)
{
	size_t capacity = (size_t)64 << 10;
	char *data = malloc(capacity);
	size_t end = 0;

	while (data != NULL) {
		ssize_t n = read(fd, data + end, capacity - end - 1);
		char *more;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || end + (size_t)n > FILE_MAX) {
			int error = n < 0 ? -errno : -EFBIG;

			free(data);
			return error;
		}
		end += (size_t)n;
		if (n == 0) {
			data[end] = '\0';
			*text = data;
			*len = end;
			return 0;
		}
		if (capacity - end > 1)
			continue;
		capacity *= 2;
		more = realloc(data, capacity);
		if (more == NULL)
			free(data);
		data = more;
	}
	return -ENOMEM;
}

int yaml_read_file(const char *path, char **text, size_t *len)
{
	int fd, status;

	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, text, len);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	status = read_all(fd, text, len);
	close(fd);
	return status;
}
