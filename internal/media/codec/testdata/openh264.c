/* Decodes an Annex B file with OpenH264, one NAL unit a call: prints a hash of
 * each picture that comes out, and the number of errors at the end. The decoder
 * finds by itself where a picture ends, as one must that gets a byte stream. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

static ISVCDecoder *decoder;
static int errors;

static void show(unsigned char **plane, SBufferInfo *info)
{
	if (info->iBufferStatus != 1)
		return;
	SSysMEMBuffer *m = &info->UsrData.sSystemBuffer;
	uint64_t hash = 14695981039346656037u;
	for (int p = 0; p < 3; p++)
		for (int y = 0; y < (p ? m->iHeight / 2 : m->iHeight); y++)
			for (int x = 0; x < (p ? m->iWidth / 2 : m->iWidth); x++)
				hash = (hash ^ plane[p][y * m->iStride[p != 0] + x]) * 1099511628211u;
	printf("%016llx\n", (unsigned long long)hash);
}

static void feed(unsigned char *unit, int size)
{
	unsigned char *plane[3] = {0};
	SBufferInfo info;
	memset(&info, 0, sizeof info);
	if ((*decoder)->DecodeFrame2(decoder, unit, size, plane, &info) != dsErrorFree)
		errors++;
	show(plane, &info);
}

int main(int argc, char **argv)
{
	static unsigned char b[64 << 20];
	FILE *f = fopen(argv[1], "rb");
	size_t n = fread(b, 1, sizeof b, f);
	SDecodingParam param;
	memset(&param, 0, sizeof param);
	param.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
	param.eEcActiveIdc = ERROR_CON_DISABLE;
	if (WelsCreateDecoder(&decoder) || (*decoder)->Initialize(decoder, &param))
		return 1;
	size_t from = 0;
	for (size_t i = 4; i <= n; i++)
		if (i == n || (i + 4 <= n && !memcmp(b + i, "\0\0\0\1", 4))) {
			feed(b + from, i - from);
			from = i;
		}
	int end = 1;
	(*decoder)->SetOption(decoder, DECODER_OPTION_END_OF_STREAM, &end);
	feed(NULL, 0);
	for (int left = 16; left > 0; left--) {
		unsigned char *plane[3] = {0};
		SBufferInfo info;
		memset(&info, 0, sizeof info);
		(*decoder)->FlushFrame(decoder, plane, &info);
		show(plane, &info);
	}
	printf("errors %d\n", errors);
	return 0;
}
