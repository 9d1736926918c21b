// A Vulkan layer that asks the driver for its compiler's statistics on every compute pipeline,
// through VK_KHR_pipeline_executable_properties. It writes one line of JSON per pipeline to
// $GRADSINK_LAYER_LOG, and the driver's texts (such as assembly) and the SPIR-V to
// $GRADSINK_LAYER_TEXTS/NUMBER.NAME. Other calls pass through.
//
// It is in C because the Vulkan loader loads layers as shared libraries.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

static PFN_vkGetInstanceProcAddr nextInstance;
static PFN_vkGetDeviceProcAddr nextDevice;
static VkInstance theInstance;
static bool tells; // whether the driver has the extension
static int pipelines;
// The SPIR-V of the newest shader module. A pipeline is made right after its module, so the next
// pipeline uses this SPIR-V.
static uint32_t *spirv;
static size_t spirvSize;

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static VkBaseOutStructure *find(const void *chain, VkStructureType type) {
  VkBaseOutStructure *each = (VkBaseOutStructure *)chain;
  while (each && each->sType != type) each = each->pNext;
  return each;
}

// Finds the loader's link in the chain. Other structures may have the link's type, but only the
// link's `function` is VK_LAYER_LINK_INFO.
static VkLayerInstanceCreateInfo *instanceLink(const VkInstanceCreateInfo *info) {
  VkLayerInstanceCreateInfo *each = (VkLayerInstanceCreateInfo *)info->pNext;
  while (each && !(each->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO &&
                   each->function == VK_LAYER_LINK_INFO))
    each = (VkLayerInstanceCreateInfo *)each->pNext;
  return each;
}

static VkLayerDeviceCreateInfo *deviceLink(const VkDeviceCreateInfo *info) {
  VkLayerDeviceCreateInfo *each = (VkLayerDeviceCreateInfo *)info->pNext;
  while (each && !(each->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO &&
                   each->function == VK_LAYER_LINK_INFO))
    each = (VkLayerDeviceCreateInfo *)each->pNext;
  return each;
}

static VKAPI_ATTR VkResult VKAPI_CALL createInstance(const VkInstanceCreateInfo *info,
                                                     const VkAllocationCallbacks *allocator,
                                                     VkInstance *instance) {
  VkLayerInstanceCreateInfo *link = instanceLink(info);
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  nextInstance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateInstance create = (PFN_vkCreateInstance)nextInstance(NULL, "vkCreateInstance");
  VkResult result = create(info, allocator, instance);
  if (result == VK_SUCCESS) theInstance = *instance;
  return result;
}

static bool hasExtension(VkPhysicalDevice physical, PFN_vkGetInstanceProcAddr get) {
  PFN_vkEnumerateDeviceExtensionProperties list =
      (PFN_vkEnumerateDeviceExtensionProperties)get(theInstance, "vkEnumerateDeviceExtensionProperties");
  uint32_t count = 0;
  list(physical, NULL, &count, NULL);
  VkExtensionProperties *all = calloc(count + 1, sizeof *all);
  list(physical, NULL, &count, all);
  bool found = false;
  for (uint32_t i = 0; i < count; i++)
    found |= !strcmp(all[i].extensionName, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  free(all);
  return found;
}

// Turns off bounds checks, because some of Mesa's drivers spend far more on them than the GPU
// makers' own drivers do. Also turns off Mesa's check for null descriptors on NVIDIA: Dawn requests
// null descriptors but never uses them.
static void leaveBoundsUnchecked(const VkDeviceCreateInfo *info) {
  if (info->pEnabledFeatures)
    ((VkPhysicalDeviceFeatures *)info->pEnabledFeatures)->robustBufferAccess = VK_FALSE;
  VkPhysicalDeviceFeatures2 *features =
      (void *)find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
  if (features) features->features.robustBufferAccess = VK_FALSE;
  VkPhysicalDeviceRobustness2FeaturesEXT *robustness =
      (void *)find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
  if (robustness) robustness->robustBufferAccess2 = robustness->nullDescriptor = VK_FALSE;
}

static VKAPI_ATTR VkResult VKAPI_CALL createDevice(VkPhysicalDevice physical,
                                                   const VkDeviceCreateInfo *info,
                                                   const VkAllocationCallbacks *allocator,
                                                   VkDevice *device) {
  VkLayerDeviceCreateInfo *link = deviceLink(info);
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  PFN_vkGetInstanceProcAddr get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  nextDevice = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateDevice create = (PFN_vkCreateDevice)get(theInstance, "vkCreateDevice");
  if (variable("GRADSINK_LAYER_UNCHECKED")) leaveBoundsUnchecked(info);
  if (!hasExtension(physical, get)) {
    fprintf(stderr, "compilers: the driver tells no statistics\n");
    return create(physical, info, allocator, device);
  }
  uint32_t count = info->enabledExtensionCount;
  const char **names = calloc(count + 1, sizeof *names);
  if (count > 0) memcpy(names, info->ppEnabledExtensionNames, count * sizeof *names);
  names[count] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
      (void *)info->pNext, VK_TRUE};
  VkDeviceCreateInfo mine = *info;
  mine.pNext = &feature;
  mine.enabledExtensionCount = count + 1;
  mine.ppEnabledExtensionNames = names;
  VkResult result = create(physical, &mine, allocator, device);
  tells = result == VK_SUCCESS;
  free(names);
  return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL createShaderModule(VkDevice device,
                                                         const VkShaderModuleCreateInfo *info,
                                                         const VkAllocationCallbacks *allocator,
                                                         VkShaderModule *module) {
  spirvSize = info->codeSize;
  spirv = realloc(spirv, spirvSize);
  memcpy(spirv, info->pCode, spirvSize);
  PFN_vkCreateShaderModule create = (PFN_vkCreateShaderModule)nextDevice(device, "vkCreateShaderModule");
  return create(device, info, allocator, module);
}

static void writeString(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', file);
    fputc((unsigned char)*text < 32 ? ' ' : *text, file);
  }
  fputc('"', file);
}

// From the SPIR-V's OpExecutionMode LocalSize.
static void workgroupSize(uint32_t size[3]) {
  size_t words = spirvSize / 4;
  for (size_t at = 5; at < words && spirv[at] >> 16; at += spirv[at] >> 16)
    if ((spirv[at] & 0xffff) == 16 && spirv[at + 2] == 17) memcpy(size, spirv + at + 3, 12);
}

static void writeFile(int number, const char *name, const void *data, size_t size) {
  const char *folder = variable("GRADSINK_LAYER_TEXTS");
  if (!folder) return;
  char path[4096];
  int start = snprintf(path, sizeof path, "%s/", folder);
  snprintf(path + start, sizeof path - start, "%d.%s", number, name);
  for (char *c = path + start; *c; c++)
    if (*c == ' ' || *c == '/') *c = '_';
  FILE *file = fopen(path, "w");
  if (!file) return;
  fwrite(data, 1, size, file);
  fclose(file);
}

static void writeStatistics(FILE *file, VkDevice device, const VkPipelineExecutableInfoKHR *which) {
  PFN_vkGetPipelineExecutableStatisticsKHR get = (PFN_vkGetPipelineExecutableStatisticsKHR)nextDevice(
      device, "vkGetPipelineExecutableStatisticsKHR");
  uint32_t count = 0;
  get(device, which, &count, NULL);
  VkPipelineExecutableStatisticKHR *each = calloc(count + 1, sizeof *each);
  for (uint32_t i = 0; i < count; i++)
    each[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  get(device, which, &count, each);
  fputc('{', file);
  for (uint32_t i = 0; i < count; i++) {
    if (i) fputc(',', file);
    writeString(file, each[i].name);
    switch (each[i].format) {
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        fprintf(file, ":%d", each[i].value.b32);
        break;
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        fprintf(file, ":%lld", (long long)each[i].value.i64);
        break;
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        fprintf(file, ":%llu", (unsigned long long)each[i].value.u64);
        break;
      default:
        fprintf(file, ":%g", each[i].value.f64);
    }
  }
  fputc('}', file);
  free(each);
}

static void writeTexts(int number, VkDevice device, const VkPipelineExecutableInfoKHR *which) {
  PFN_vkGetPipelineExecutableInternalRepresentationsKHR get =
      (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)nextDevice(
          device, "vkGetPipelineExecutableInternalRepresentationsKHR");
  uint32_t count = 0;
  get(device, which, &count, NULL);
  VkPipelineExecutableInternalRepresentationKHR *each = calloc(count + 1, sizeof *each);
  for (uint32_t i = 0; i < count; i++)
    each[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
  get(device, which, &count, each); // for the sizes
  for (uint32_t i = 0; i < count; i++) each[i].pData = calloc(1, each[i].dataSize + 1);
  get(device, which, &count, each);
  for (uint32_t i = 0; i < count; i++) {
    char name[VK_MAX_DESCRIPTION_SIZE + 16];
    snprintf(name, sizeof name, "%u.%s", which->executableIndex, each[i].name);
    writeFile(number, name, each[i].pData, strnlen(each[i].pData, each[i].dataSize));
    free(each[i].pData);
  }
  free(each);
}

static void report(VkDevice device, VkPipeline pipeline, const void *stage) {
  const char *path = variable("GRADSINK_LAYER_LOG");
  FILE *file = path ? fopen(path, "a") : stderr;
  if (!file) return;
  int number = pipelines++;
  PFN_vkGetPipelineExecutablePropertiesKHR get = (PFN_vkGetPipelineExecutablePropertiesKHR)nextDevice(
      device, "vkGetPipelineExecutablePropertiesKHR");
  VkPipelineInfoKHR info = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, NULL, pipeline};
  uint32_t count = 0;
  get(device, &info, &count, NULL);
  VkPipelineExecutablePropertiesKHR *each = calloc(count + 1, sizeof *each);
  for (uint32_t i = 0; i < count; i++)
    each[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
  get(device, &info, &count, each);
  uint32_t size[3] = {0, 0, 0};
  workgroupSize(size);
  // NULL if the WebGPU implementation requires no subgroup size. The JSON then says 0.
  const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *required =
      (const void *)find(stage, VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  fprintf(file, "{\"number\":%d,\"requiredSubgroupSize\":%u,\"workgroup\":[%u,%u,%u],\"executables\":[",
          number, required ? required->requiredSubgroupSize : 0, size[0], size[1], size[2]);
  for (uint32_t i = 0; i < count; i++) {
    VkPipelineExecutableInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, NULL, pipeline, i};
    fprintf(file, "%s{\"name\":", i ? "," : "");
    writeString(file, each[i].name);
    fprintf(file, ",\"subgroupSize\":%u,\"statistics\":", each[i].subgroupSize);
    writeStatistics(file, device, &which);
    fputc('}', file);
    writeTexts(number, device, &which);
  }
  fprintf(file, "]}\n");
  if (path) fclose(file);
  free(each);
  writeFile(number, "spv", spirv, spirvSize);
}

static VKAPI_ATTR VkResult VKAPI_CALL createComputePipelines(VkDevice device, VkPipelineCache cache,
                                                             uint32_t count,
                                                             const VkComputePipelineCreateInfo *infos,
                                                             const VkAllocationCallbacks *allocator,
                                                             VkPipeline *created) {
  PFN_vkCreateComputePipelines create =
      (PFN_vkCreateComputePipelines)nextDevice(device, "vkCreateComputePipelines");
  if (!tells) return create(device, cache, count, infos, allocator, created);
  VkComputePipelineCreateInfo *mine = calloc(count + 1, sizeof *mine);
  for (uint32_t i = 0; i < count; i++) {
    mine[i] = infos[i];
    mine[i].flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                     VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  }
  // Passes no pipeline cache, because a pipeline from the cache has no statistics.
  VkResult result = create(device, VK_NULL_HANDLE, count, mine, allocator, created);
  free(mine);
  if (result == VK_SUCCESS)
    for (uint32_t i = 0; i < count; i++) report(device, created[i], infos[i].stage.pNext);
  return result;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL deviceFunction(VkDevice device, const char *name);

static PFN_vkVoidFunction ownFunction(const char *name) {
  if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)createInstance;
  if (!strcmp(name, "vkCreateDevice")) return (PFN_vkVoidFunction)createDevice;
  if (!strcmp(name, "vkCreateShaderModule")) return (PFN_vkVoidFunction)createShaderModule;
  if (!strcmp(name, "vkCreateComputePipelines")) return (PFN_vkVoidFunction)createComputePipelines;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)deviceFunction;
  return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL deviceFunction(VkDevice device, const char *name) {
  PFN_vkVoidFunction own = ownFunction(name);
  return own ? own : nextDevice(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instanceFunction(VkInstance instance, const char *name) {
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)instanceFunction;
  PFN_vkVoidFunction own = ownFunction(name);
  return own ? own : nextInstance ? nextInstance(instance, name) : NULL;
}

__attribute__((visibility("default"))) VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *negotiation) {
  if (negotiation->loaderLayerInterfaceVersion > 2) negotiation->loaderLayerInterfaceVersion = 2;
  negotiation->pfnGetInstanceProcAddr = instanceFunction;
  negotiation->pfnGetDeviceProcAddr = deviceFunction;
  negotiation->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
