// A double of the few TensorRT declarations that the plugin and its driver use, so that both are compiled and run where
// there is no TensorRT: names, signatures, values and the order of virtual functions are those of version 10.3, nothing
// else is here. `make tensorrt-headers` compiles and runs the same sources with the real ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include "NvInferVersion.h"

using cudaStream_t = struct CUstream_st*;

namespace nvinfer1 {

using AsciiChar = char;

enum class DataType : std::int32_t { kFLOAT = 0, kHALF = 1, kINT8 = 2, kINT32 = 3 };
enum class TensorFormat : std::int32_t { kLINEAR = 0, kCHW2 = 1 };

class Dims64 {
  public:
    static constexpr std::int32_t MAX_DIMS{8};
    std::int32_t nbDims;
    std::int64_t d[MAX_DIMS];
};
using Dims = Dims64;

class InterfaceInfo {
  public:
    const char* kind;
    std::int32_t major;
    std::int32_t minor;
};
enum class APILanguage : std::int32_t { kCPP = 0, kPYTHON = 1 };

class IVersionedInterface {
  public:
    virtual APILanguage getAPILanguage() const noexcept { return APILanguage::kCPP; }
    virtual InterfaceInfo getInterfaceInfo() const noexcept = 0;
    virtual ~IVersionedInterface() noexcept = default;
};

class ILogger {
  public:
    enum class Severity : std::int32_t { kINTERNAL_ERROR = 0, kERROR = 1, kWARNING = 2, kINFO = 3, kVERBOSE = 4 };
    virtual void log(Severity severity, const AsciiChar* msg) noexcept = 0;
    virtual ~ILogger() = default;
};

class ILoggerFinder {
  public:
    virtual ILogger* findLogger() = 0;

  protected:
    virtual ~ILoggerFinder() = default;
};

enum class PluginFieldType : std::int32_t {
    kFLOAT16 = 0,
    kFLOAT32 = 1,
    kFLOAT64 = 2,
    kINT8 = 3,
    kINT16 = 4,
    kINT32 = 5,
    kCHAR = 6,
    kDIMS = 7,
    kUNKNOWN = 8
};

class PluginField {
  public:
    const AsciiChar* name;
    const void* data;
    PluginFieldType type;
    std::int32_t length;

    PluginField(const AsciiChar* name_ = nullptr, const void* data_ = nullptr,
                PluginFieldType type_ = PluginFieldType::kUNKNOWN, std::int32_t length_ = 0) noexcept
        : name(name_), data(data_), type(type_), length(length_) {}
};

struct PluginFieldCollection {
    std::int32_t nbFields;
    const PluginField* fields;
};

enum class PluginCapabilityType : std::int32_t { kCORE = 0, kBUILD = 1, kRUNTIME = 2 };
enum class TensorRTPhase : std::int32_t { kBUILD = 0, kRUNTIME = 1 };

struct PluginTensorDesc {
    Dims dims;
    DataType type;
    TensorFormat format;
    float scale;
};
struct DynamicPluginTensorDesc {
    PluginTensorDesc desc;
    Dims min;
    Dims max;
    Dims opt;
};

// Expressions of dimensions: TensorRT's own objects, which pass every call on to what they hold.
enum class DimensionOperation : std::int32_t { kSUM = 0, kPROD = 1 };
class IDimensionExpr;

namespace apiv {

class VRoot {
  public:
    virtual ~VRoot() noexcept = default;
};
class VDimensionExpr : public VRoot {
  public:
    virtual bool isConstant() const = 0;
    virtual std::int64_t getConstantValue() const = 0;
    virtual bool isSizeTensor() const = 0;
};
class VExprBuilder : public VRoot {
  public:
    virtual const IDimensionExpr* constant(std::int64_t value) = 0;
    virtual const IDimensionExpr* operation(DimensionOperation op, const IDimensionExpr& first,
                                            const IDimensionExpr& second) = 0;
    virtual const IDimensionExpr* declareSizeTensor(std::int32_t outputIndex, const IDimensionExpr& opt,
                                                    const IDimensionExpr& upper) = 0;
};

}  // namespace apiv

class INoCopy {
  protected:
    INoCopy() = default;
    virtual ~INoCopy() = default;
    INoCopy(const INoCopy&) = delete;
    INoCopy& operator=(const INoCopy&) = delete;
};

class IDimensionExpr : public INoCopy {
  public:
    bool isConstant() const noexcept { return mImpl->isConstant(); }
    std::int64_t getConstantValue() const noexcept { return mImpl->getConstantValue(); }

  protected:
    apiv::VDimensionExpr* mImpl;
    ~IDimensionExpr() noexcept override = default;
};

class IExprBuilder : public INoCopy {
  public:
    const IDimensionExpr* constant(std::int64_t value) noexcept { return mImpl->constant(value); }

  protected:
    apiv::VExprBuilder* mImpl;
    ~IExprBuilder() noexcept override = default;
};

class DimsExprs {
  public:
    std::int32_t nbDims;
    const IDimensionExpr* d[Dims::MAX_DIMS];
};

class IGpuAllocator;
class IErrorRecorder;
class IPluginResourceContext {
  public:
    virtual IGpuAllocator* getGpuAllocator() const noexcept = 0;
    virtual IErrorRecorder* getErrorRecorder() const noexcept = 0;
    virtual ~IPluginResourceContext() noexcept = default;
};

class IPluginCapability : public IVersionedInterface {};

class IPluginV3 : public IVersionedInterface {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN", 1, 0}; }
    virtual IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept = 0;
    virtual IPluginV3* clone() noexcept = 0;
};

class IPluginV3OneCore : public IPluginCapability {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN_V3ONE_CORE", 1, 0}; }
    virtual const AsciiChar* getPluginName() const noexcept = 0;
    virtual const AsciiChar* getPluginVersion() const noexcept = 0;
    virtual const AsciiChar* getPluginNamespace() const noexcept = 0;
};

class IPluginV3OneBuild : public IPluginCapability {
  public:
    static constexpr std::int32_t kDEFAULT_FORMAT_COMBINATION_LIMIT = 100;
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN_V3ONE_BUILD", 1, 0}; }
    virtual std::int32_t configurePlugin(const DynamicPluginTensorDesc* in, std::int32_t nbInputs,
                                         const DynamicPluginTensorDesc* out, std::int32_t nbOutputs) noexcept = 0;
    virtual std::int32_t getOutputDataTypes(DataType* outputTypes, std::int32_t nbOutputs, const DataType* inputTypes,
                                            std::int32_t nbInputs) const noexcept = 0;
    virtual std::int32_t getOutputShapes(const DimsExprs* inputs, std::int32_t nbInputs, const DimsExprs* shapeInputs,
                                         std::int32_t nbShapeInputs, DimsExprs* outputs, std::int32_t nbOutputs,
                                         IExprBuilder& exprBuilder) noexcept = 0;
    virtual bool supportsFormatCombination(std::int32_t pos, const DynamicPluginTensorDesc* inOut,
                                           std::int32_t nbInputs, std::int32_t nbOutputs) noexcept = 0;
    virtual std::int32_t getNbOutputs() const noexcept = 0;
    virtual std::size_t getWorkspaceSize(const DynamicPluginTensorDesc*, std::int32_t, const DynamicPluginTensorDesc*,
                                         std::int32_t) const noexcept {
        return 0;
    }
    virtual std::int32_t getValidTactics(std::int32_t*, std::int32_t) noexcept { return 0; }
    virtual std::int32_t getNbTactics() noexcept { return 0; }
    virtual const char* getTimingCacheID() noexcept { return nullptr; }
    virtual std::int32_t getFormatCombinationLimit() noexcept { return kDEFAULT_FORMAT_COMBINATION_LIMIT; }
    virtual const char* getMetadataString() noexcept { return nullptr; }
};

class IPluginV3OneRuntime : public IPluginCapability {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN_V3ONE_RUNTIME", 1, 0}; }
    virtual std::int32_t setTactic(std::int32_t) noexcept { return 0; }
    virtual std::int32_t onShapeChange(const PluginTensorDesc* in, std::int32_t nbInputs, const PluginTensorDesc* out,
                                       std::int32_t nbOutputs) noexcept = 0;
    virtual std::int32_t enqueue(const PluginTensorDesc* inputDesc, const PluginTensorDesc* outputDesc,
                                 const void* const* inputs, void* const* outputs, void* workspace,
                                 cudaStream_t stream) noexcept = 0;
    virtual IPluginV3* attachToContext(IPluginResourceContext* context) noexcept = 0;
    virtual const PluginFieldCollection* getFieldsToSerialize() noexcept = 0;
};

class IPluginCreatorInterface : public IVersionedInterface {};

class IPluginCreatorV3One : public IPluginCreatorInterface {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN CREATOR_V3ONE", 1, 0}; }
    virtual IPluginV3* createPlugin(const AsciiChar* name, const PluginFieldCollection* fc,
                                    TensorRTPhase phase) noexcept = 0;
    virtual const PluginFieldCollection* getFieldNames() noexcept = 0;
    virtual const AsciiChar* getPluginName() const noexcept = 0;
    virtual const AsciiChar* getPluginVersion() const noexcept = 0;
    virtual const AsciiChar* getPluginNamespace() const noexcept = 0;
};

}  // namespace nvinfer1
