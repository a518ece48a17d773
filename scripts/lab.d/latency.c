/* latency SERVER COUNT: asks COUNT times for service.test, each time by a new udp socket (a new flow), and prints the
 * microseconds that each answer took. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\7service\4test\0\0\1\0\1";

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double ask(const struct sockaddr_in *server)
{
	struct timeval patience = { .tv_sec = 2 };
	char answer[512];
	double start = now();
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(s, (const struct sockaddr *)server, sizeof *server) || send(s, query, sizeof query - 1, 0) < 0 ||
	    recv(s, answer, sizeof answer, 0) < 0)
		exit(1);
	close(s);
	return now() - start;
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) };

	if (argc != 3 || !inet_aton(argv[1], &server.sin_addr))
		return 2;
	for (int count = atoi(argv[2]); count > 0; count--)
		printf("%.1f\n", ask(&server));
	return 0;
}
