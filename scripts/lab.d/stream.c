/* stream take PORT: takes connections, one after the other, and throws away what comes.
 * stream send ADDR PORT BYTES: sends so much, waits until the other side has taken it, and prints how long that took,
 * in microseconds. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int take(const char *port)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, peer;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 8))
		return fail("listen");
	while ((peer = accept(listener, NULL, NULL)) >= 0) {
		while (read(peer, buffer, sizeof(buffer)) > 0)
			;
		close(peer);
	}
	return fail("accept");
}

static int send_to(const char *address, const char *port, long long left)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	struct timespec start, end;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(s, (struct sockaddr *)&to, sizeof(to)))
		return fail("connect");
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (left > 0) {
		ssize_t n = write(s, buffer, left < (long long)sizeof(buffer) ? left : (long long)sizeof(buffer));
		if (n < 0)
			return fail("write");
		left -= n;
	}
	shutdown(s, SHUT_WR);
	while (read(s, buffer, sizeof(buffer)) > 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000LL + (end.tv_nsec - start.tv_nsec) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "take"))
		return take(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "send"))
		return send_to(argv[2], argv[3], atoll(argv[4]));
	fprintf(stderr, "usage: stream take PORT | send ADDR PORT BYTES\n");
	return 2;
}
