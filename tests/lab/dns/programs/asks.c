/* asks SERVER: for each NAME on stdin one query by one and the same udp socket, and "answer" with the last octet of
 * the IPv4 address that comes back, or "error" and why. What a program does that keeps its socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static size_t query(unsigned char *out, const char *name)
{
	static const unsigned char head[12] = { 0x12, 0x34, 1, 0, 0, 1 }, tail[5] = { 0, 0, 1, 0, 1 };
	unsigned char *at = out + sizeof head;

	memcpy(out, head, sizeof head);
	for (; *name; name += strcspn(name, "."), name += *name == '.') {
		size_t label = strcspn(name, ".");

		*at++ = (unsigned char)label;
		memcpy(at, name, label);
		at += label;
	}
	memcpy(at, tail, sizeof tail);
	return (size_t)(at - out) + sizeof tail;
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct timeval patience = { .tv_sec = 8 };
	char name[256];
	unsigned char packet[512];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 2 || !inet_aton(argv[1], &server.sin_addr) ||
	    connect(s, (struct sockaddr *)&server, sizeof server))
		return 2;
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%255s", name) == 1) {
		ssize_t got = -1;

		if (send(s, packet, query(packet, name), 0) > 0)
			got = recv(s, packet, sizeof packet, 0);
		if (got > 4)
			printf("answer %d\n", packet[got - 1]);
		else
			printf("error %s\n", strerror(errno));
	}
	return 0;
}
