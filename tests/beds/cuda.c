/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CUDA library without a GPU: whatever is asked of it succeeds and nothing is done. BED_CUDA is the number of the
 * error with which it does not start; BED_CUDA_MEMORY, that there is no room for a context. After NVIDIA's reference of
 * the driver API: the names that ffmpeg looks for, and what few of them must give back.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { CUDA_OUT_OF_MEMORY = 2, ALIGNMENT = 512 };

static const struct {
	int error;
	const char *name, *text;
} errors[] = {
	{ 2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory" },
	{ 34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library" },
	{ 46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable" },
	{ 100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected" },
	{ 101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal" },
	{ 801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported" },
	{ 802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized" },
	{ 803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination" },
	{ 804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW" },
	{ 999, "CUDA_ERROR_UNKNOWN", "unknown error" },
};
enum { ERRORS = sizeof errors / sizeof *errors };

static int wanted(const char *name)
{
	const char *text = getenv(name);
	return text ? atoi(text) : 0;
}

static int text_of(int error, const char **ret, size_t member)
{
	for (size_t i = 0; i < ERRORS; i++)
		if (errors[i].error == error) {
			*ret = member ? errors[i].text : errors[i].name;
			return 0;
		}
	return 1;
}

#define CALL(name, ...)                                                                                                \
	int name(__VA_ARGS__);                                                                                         \
	int name(__VA_ARGS__)

CALL(cuGetErrorName, int error, const char **ret)
{
	return text_of(error, ret, 0);
}

CALL(cuGetErrorString, int error, const char **ret)
{
	return text_of(error, ret, 1);
}

CALL(cuInit, unsigned flags)
{
	(void)flags;
	return wanted("BED_CUDA");
}

CALL(cuDriverGetVersion, int *ret)
{
	*ret = 12040;
	return 0;
}

CALL(cuDeviceGetCount, int *ret)
{
	*ret = 1;
	return 0;
}

CALL(cuDeviceGet, int *ret, int index)
{
	*ret = index;
	return index ? 101 : 0;
}

CALL(cuDeviceGetName, char *ret, int room, int device)
{
	(void)device;
	snprintf(ret, (size_t)room, "a card that is not there");
	return 0;
}

CALL(cuDeviceComputeCapability, int *ret_major, int *ret_minor, int device)
{
	(void)device;
	*ret_major = 8;
	*ret_minor = 9;
	return 0;
}

CALL(cuDeviceGetAttribute, int *ret, int attribute, int device)
{
	(void)attribute;
	(void)device;
	*ret = ALIGNMENT;
	return 0;
}

static int make_context(void **ret)
{
	static int context;
	*ret = &context;
	return getenv("BED_CUDA_MEMORY") ? CUDA_OUT_OF_MEMORY : 0;
}

CALL(cuCtxCreate_v2, void **ret, unsigned flags, int device)
{
	(void)flags;
	(void)device;
	return make_context(ret);
}

CALL(cuDevicePrimaryCtxRetain, void **ret, int device)
{
	(void)device;
	return make_context(ret);
}

CALL(cuMemAllocPitch_v2, void **ret, size_t *ret_pitch, size_t width, size_t height, unsigned element)
{
	(void)element;
	*ret_pitch = (width + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	*ret = calloc(*ret_pitch, height);
	return *ret ? 0 : CUDA_OUT_OF_MEMORY;
}

CALL(cuMemAlloc_v2, void **ret, size_t size)
{
	*ret = calloc(1, size);
	return *ret ? 0 : CUDA_OUT_OF_MEMORY;
}

CALL(cuMemFree_v2, void *data)
{
	free(data);
	return 0;
}

#define NOTHING(name)                                                                                                  \
	CALL(name, void)                                                                                               \
	{                                                                                                              \
		return 0;                                                                                              \
	}
NOTHING(cuArray3DCreate_v2)
NOTHING(cuArrayCreate_v2)
NOTHING(cuArrayDestroy)
NOTHING(cuCtxDestroy_v2)
NOTHING(cuCtxGetCurrent)
NOTHING(cuCtxGetDevice)
NOTHING(cuCtxPopCurrent_v2)
NOTHING(cuCtxPushCurrent_v2)
NOTHING(cuCtxSetLimit)
NOTHING(cuDestroyExternalMemory)
NOTHING(cuDestroyExternalSemaphore)
NOTHING(cuDeviceGetByPCIBusId)
NOTHING(cuDeviceGetLuid)
NOTHING(cuDeviceGetPCIBusId)
NOTHING(cuDeviceGetUuid)
NOTHING(cuDeviceGetUuid_v2)
NOTHING(cuDevicePrimaryCtxGetState)
NOTHING(cuDevicePrimaryCtxRelease)
NOTHING(cuDevicePrimaryCtxReset)
NOTHING(cuDevicePrimaryCtxSetFlags)
NOTHING(cuEGLStreamConsumerDisconnect)
NOTHING(cuEGLStreamProducerConnect)
NOTHING(cuEGLStreamProducerDisconnect)
NOTHING(cuEGLStreamProducerPresentFrame)
NOTHING(cuEGLStreamProducerReturnFrame)
NOTHING(cuEventCreate)
NOTHING(cuEventDestroy_v2)
NOTHING(cuEventQuery)
NOTHING(cuEventRecord)
NOTHING(cuEventSynchronize)
NOTHING(cuExternalMemoryGetMappedBuffer)
NOTHING(cuExternalMemoryGetMappedMipmappedArray)
NOTHING(cuGLGetDevices_v2)
NOTHING(cuGraphicsGLRegisterImage)
NOTHING(cuGraphicsMapResources)
NOTHING(cuGraphicsResourceGetMappedPointer_v2)
NOTHING(cuGraphicsSubResourceGetMappedArray)
NOTHING(cuGraphicsUnmapResources)
NOTHING(cuGraphicsUnregisterResource)
NOTHING(cuImportExternalMemory)
NOTHING(cuImportExternalSemaphore)
NOTHING(cuLaunchKernel)
NOTHING(cuLinkAddData)
NOTHING(cuLinkComplete)
NOTHING(cuLinkCreate)
NOTHING(cuLinkDestroy)
NOTHING(cuMemAllocManaged)
NOTHING(cuMemcpy)
NOTHING(cuMemcpy2DAsync_v2)
NOTHING(cuMemcpy2D_v2)
NOTHING(cuMemcpyAsync)
NOTHING(cuMemcpyDtoDAsync_v2)
NOTHING(cuMemcpyDtoD_v2)
NOTHING(cuMemcpyDtoHAsync_v2)
NOTHING(cuMemcpyDtoH_v2)
NOTHING(cuMemcpyHtoDAsync_v2)
NOTHING(cuMemcpyHtoD_v2)
NOTHING(cuMemsetD8Async)
NOTHING(cuMipmappedArrayDestroy)
NOTHING(cuMipmappedArrayGetLevel)
NOTHING(cuModuleGetFunction)
NOTHING(cuModuleGetGlobal)
NOTHING(cuModuleLoadData)
NOTHING(cuModuleUnload)
NOTHING(cuSignalExternalSemaphoresAsync)
NOTHING(cuStreamAddCallback)
NOTHING(cuStreamCreate)
NOTHING(cuStreamDestroy_v2)
NOTHING(cuStreamQuery)
NOTHING(cuStreamSynchronize)
NOTHING(cuStreamWaitEvent)
NOTHING(cuTexObjectCreate)
NOTHING(cuTexObjectDestroy)
NOTHING(cuWaitExternalSemaphoresAsync)
