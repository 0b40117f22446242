// Declarations of our own: rendering and scene.
#pragma once

#include "Core.h"

// RHI
enum EPixelFormat { PF_B8G8R8A8, PF_R8G8B8A8, PF_R32_FLOAT, PF_FloatRGBA, PF_R32_UINT, PF_G32R32F };
enum ETextureCreateFlags { TexCreate_ShaderResource = 1, TexCreate_UAV = 2 };
constexpr ETextureCreateFlags operator|(ETextureCreateFlags A, ETextureCreateFlags B) { return ETextureCreateFlags(int(A) | int(B)); }
struct FClearValueBinding
{
	static const FClearValueBinding None;
};
enum EShaderPlatform { SP_Declared };
namespace ERHIFeatureLevel
{
	enum Type { SM5 };
}
bool IsFeatureLevelSupported(EShaderPlatform, ERHIFeatureLevel::Type);
struct FRHICommandList {};
struct FRHICommandListImmediate : FRHICommandList {};
struct FRHITexture;
struct FTextureRHIRef
{
	operator FRHITexture*() const;
};
struct FUpdateTextureRegion2D
{
	FUpdateTextureRegion2D(uint32, uint32, int32, int32, uint32, uint32);
};
struct FRHIGPUMemoryReadback
{
	virtual ~FRHIGPUMemoryReadback();
	bool IsReady();
	virtual void* Lock(uint32) = 0;
};
struct FRHIGPUTextureReadback : FRHIGPUMemoryReadback
{
	FRHIGPUTextureReadback(FName);
	void EnqueueCopy(FRHICommandList&, FRHITexture*);
	void* Lock(uint32) override;
	void* Lock(int32& OutRowPitchInPixels, int32* OutBufferHeight = nullptr);
	void Unlock();
};
void FlushRenderingCommands();
struct TDeclaredEnqueue
{
	template <class F>
		requires std::is_invocable_v<F&, FRHICommandListImmediate&>
	void operator()(F&&) const NEVER_RUN
};
// Two statements, as in the engine: the name is a type in the scope around it.
#define ENQUEUE_RENDER_COMMAND(Name) struct Name##Name {}; TDeclaredEnqueue()

// Render graph
struct FRDGTextureDesc
{
	FIntPoint Extent;
	static FRDGTextureDesc Create2D(FIntPoint, EPixelFormat, FClearValueBinding, ETextureCreateFlags);
};
struct FRDGTexture
{
	FRDGTextureDesc Desc;
	FRHITexture* GetRHI() const;
};
struct FRDGTextureUAV;
struct FRDGTextureSRV;
struct FRDGBuffer;
struct FRDGBufferSRV;
using FRDGTextureRef = FRDGTexture*;
using FRDGTextureUAVRef = FRDGTextureUAV*;
using FRDGTextureSRVRef = FRDGTextureSRV*;
using FRDGBufferRef = FRDGBuffer*;
using FRDGBufferSRVRef = FRDGBufferSRV*;
template <class T>
struct TRDGUniformBuffer
{
	const T* GetContents() const;
};
template <class T>
struct TRDGUniformBufferBinding
{
	TRDGUniformBuffer<T>* GetUniformBuffer() const;
};
class FRDGBuilder
{
public:
	explicit FRDGBuilder(FRHICommandListImmediate&);
	void Execute();
	FRDGTextureRef CreateTexture(const FRDGTextureDesc&, const TCHAR*);
	FRDGTextureUAVRef CreateUAV(FRDGTextureRef);
	FRDGBufferSRVRef CreateSRV(FRDGBufferRef);
	template <class T> T* AllocParameters();
};
FRDGBufferRef CreateStructuredBuffer(FRDGBuilder&, const TCHAR*, uint32, uint32, const void*, uint64);
FRDGTextureRef RegisterExternalTexture(FRDGBuilder&, FRHITexture*, const TCHAR*);
void AddClearUAVPass(FRDGBuilder&, FRDGTextureUAVRef, float);
struct FRDGEventName {};
template <class F>
	requires std::is_invocable_v<F&, FRHICommandListImmediate&>
void AddReadbackTexturePass(FRDGBuilder&, FRDGEventName&&, FRDGTextureRef, F&&) NEVER_RUN

// Shaders
struct FShaderCompilerEnvironment
{
	void SetDefine(const TCHAR*, int32);
};
struct FGlobalShaderPermutationParameters
{
	EShaderPlatform Platform;
	int32 PermutationId;
};
struct FGlobalShader
{
	static void ModifyCompilationEnvironment(const FGlobalShaderPermutationParameters&, FShaderCompilerEnvironment&);
};
struct TDeclaredPermutationInt { using Type = int32; };
struct TDeclaredPermutationBool { using Type = bool; };
#define SHADER_PERMUTATION_INT(Name, Count) public TDeclaredPermutationInt {}
#define SHADER_PERMUTATION_BOOL(Name) public TDeclaredPermutationBool {}
template <class... D>
struct TShaderPermutationDomain
{
	TShaderPermutationDomain();
	explicit TShaderPermutationDomain(int32);
	template <class T>
		requires(std::same_as<T, D> || ...)
	void Set(typename T::Type);
	template <class T>
		requires(std::same_as<T, D> || ...)
	typename T::Type Get() const;
};
#define DECLARE_GLOBAL_SHADER(Class)
#define SHADER_USE_PARAMETER_STRUCT(Class, Base)
#define IMPLEMENT_GLOBAL_SHADER(Class, File, Function, Frequency) static_assert(sizeof(File) > 1)
#define BEGIN_SHADER_PARAMETER_STRUCT(Name, Api) struct Name {
#define END_SHADER_PARAMETER_STRUCT() };
#define SHADER_PARAMETER(Type, Name) Type Name;
#define SHADER_PARAMETER_ARRAY(Type, Name, Count) Type Name Count;
#define SHADER_PARAMETER_STRUCT_REF(Type, Name) TUniformBufferRef<Type> Name;
#define SHADER_PARAMETER_STRUCT_INCLUDE(Type, Name) Type Name;
#define SHADER_PARAMETER_RDG_TEXTURE(Type, Name) FRDGTextureRef Name;
#define SHADER_PARAMETER_RDG_TEXTURE_SRV(Type, Name) FRDGTextureSRVRef Name;
#define SHADER_PARAMETER_RDG_TEXTURE_UAV(Type, Name) FRDGTextureUAVRef Name;
#define SHADER_PARAMETER_RDG_BUFFER_SRV(Type, Name) FRDGBufferSRVRef Name;
template <class T> struct TUniformBufferRef {};
struct FViewUniformShaderParameters;
struct FGlobalShaderMap;
FGlobalShaderMap* GetGlobalShaderMap(ERHIFeatureLevel::Type);
template <class T>
struct TShaderRef {};
template <class T>
struct TShaderMapRef : TShaderRef<T>
{
	TShaderMapRef(const FGlobalShaderMap*, typename T::FPermutationDomain);
	bool IsValid() const;
};
#define RDG_EVENT_NAME(...) DeclaredEvent(__VA_ARGS__)
FRDGEventName DeclaredEvent(const char*, ...) __attribute__((format(printf, 1, 2)));
struct FIntVector {};
struct FComputeShaderUtils
{
	static FIntVector GetGroupCount(FIntPoint, int32);
	template <class T>
	static void AddPass(FRDGBuilder&, FRDGEventName&&, const TShaderRef<T>&, typename T::FParameters*, FIntVector);
};

// Views
class UWorld;
class FSceneInterface
{
public:
	virtual UWorld* GetWorld() const;
};
struct FViewMatrices
{
#if ENGINE_MINOR_VERSION >= 8
	const FMatrix& GetViewToClipNoAA() const;
	const FMatrix& GetViewToWorld() const;
#else
	const FMatrix& GetProjectionNoAAMatrix() const;
	const FMatrix& GetInvViewMatrix() const;
#endif
	const FVector2D GetTemporalAAJitter() const;
};
class FRenderTarget
{
public:
	virtual ~FRenderTarget();
};
class FViewport : public FRenderTarget {};
struct FGameTime
{
	double GetWorldTimeSeconds() const;
	double GetRealTimeSeconds() const;
};
struct FEngineShowFlags
{
	uint32 HitProxies : 1;
};
enum ESceneCaptureSource : int { SCS_FinalColorLDR, SCS_Normal, SCS_BaseColor, SCS_FinalColorHDR, SCS_FinalToneCurveHDR };
class FSceneViewFamily
{
public:
	FEngineShowFlags EngineShowFlags;
	ESceneCaptureSource SceneCaptureSource;
	TArray<const class FSceneView*> Views;
	const FRenderTarget* RenderTarget;
	FSceneInterface* Scene;
	FGameTime Time;
};
class FSceneView
{
public:
	const FSceneViewFamily* Family;
	FViewMatrices ViewMatrices;
	FVector ViewLocation;
	FRotator ViewRotation;
	FIntRect UnscaledViewRect;
	TUniformBufferRef<FViewUniformShaderParameters> ViewUniformBuffer;
	uint8 bIsSceneCapture : 1, bIsReflectionCapture : 1, bIsPlanarReflection : 1, bCameraCut : 1;
	bool IsPerspectiveProjection() const;
	ERHIFeatureLevel::Type GetFeatureLevel() const;
};
namespace UE::FXRenderingUtils
{
	FIntRect GetRawViewRectUnsafe(const FSceneView&);
}
struct FSceneTextureUniformParameters
{
	FRDGTextureRef SceneDepthTexture, GBufferATexture, GBufferBTexture, GBufferCTexture, GBufferVelocityTexture, CustomDepthTexture;
	FRDGTextureSRVRef CustomStencilTexture;
};
struct FSceneTextureShaderParameters
{
	TRDGUniformBufferBinding<FSceneTextureUniformParameters> SceneTextures;
};
struct FScreenPassTextureSlice;
struct FScreenPassTexture
{
	FRDGTextureRef Texture;
	FIntRect ViewRect;
	bool IsValid() const;
	static FScreenPassTexture CopyFromSlice(FRDGBuilder&, const FScreenPassTextureSlice&);
};
struct FScreenPassTextureSlice {};
struct FScreenPassRenderTarget : FScreenPassTexture {};
#if ENGINE_MINOR_VERSION >= 5
struct FScreenPassViewInfo
{
	FScreenPassViewInfo(const FSceneView&);
};
void AddDrawTexturePass(FRDGBuilder&, const FScreenPassViewInfo&, FScreenPassTexture, FScreenPassRenderTarget);
#else
void AddDrawTexturePass(FRDGBuilder&, const FSceneView&, FScreenPassTexture, FScreenPassRenderTarget);
#endif
enum class EPostProcessMaterialInput { SceneColor };
struct FPostProcessMaterialInputs
{
	FSceneTextureShaderParameters SceneTextures;
#if ENGINE_MINOR_VERSION >= 4
	FScreenPassTextureSlice GetInput(EPostProcessMaterialInput) const;
#else
	FScreenPassTexture GetInput(EPostProcessMaterialInput) const;
#endif
	FScreenPassRenderTarget OverrideOutput;
};
struct FSceneViewExtensionContext
{
	FViewport* Viewport;
	FSceneInterface* Scene;
};
class FAutoRegister
{
	friend struct FSceneViewExtensions;
	FAutoRegister() {}
};
using FAfterPassCallbackDelegate =
	TDeclaredDelegate<FScreenPassTexture, FRDGBuilder&, const FSceneView&, const FPostProcessMaterialInputs&>;
using FAfterPassCallbackDelegateArray = TArray<FAfterPassCallbackDelegate>;
class ISceneViewExtension
{
public:
	enum class EPostProcessingPass : uint32 { MotionBlur, Tonemap, FXAA };
	virtual ~ISceneViewExtension();
	virtual void SetupViewFamily(FSceneViewFamily&) = 0;
	virtual void SetupView(FSceneViewFamily&, FSceneView&) = 0;
	virtual void BeginRenderViewFamily(FSceneViewFamily&) = 0;
#if ENGINE_MINOR_VERSION >= 5
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass, const FSceneView&, FAfterPassCallbackDelegateArray&, bool);
	[[deprecated("no longer called")]] virtual void SubscribeToPostProcessingPass(
		EPostProcessingPass, FAfterPassCallbackDelegateArray&, bool);
#else
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass, FAfterPassCallbackDelegateArray&, bool);
#endif

protected:
	virtual bool IsActiveThisFrame_Internal(const FSceneViewExtensionContext&) const;
};
class FSceneViewExtensionBase : public ISceneViewExtension, public TSharedFromThis<FSceneViewExtensionBase>
{
public:
	FSceneViewExtensionBase(const FAutoRegister&);
};
struct FSceneViewExtensions
{
	template <class T, class... A>
		requires std::is_constructible_v<T, const FAutoRegister&, A...>
	static TSharedRef<T, ESPMode::ThreadSafe> NewExtension(A&&...);
};

// World
class AActor;
struct FActorSpawnParameters
{
	EObjectFlags ObjectFlags;
	uint8 bHideFromSceneOutliner : 1, bTemporaryEditorActor : 1;
};
class UWorld : public UObject
{
public:
	bool IsGameWorld() const;
	template <class T> T* SpawnActor(const FActorSpawnParameters& = FActorSpawnParameters());
};
class UActorComponent : public UObject
{
public:
	bool IsRegistered() const;
	bool IsEditorOnly() const;
};
class USceneComponent : public UActorComponent
{
public:
	void SetWorldLocationAndRotation(FVector, FRotator);
};
class UPrimitiveComponent : public USceneComponent
{
public:
	uint8 bRenderCustomDepth : 1;
	int32 CustomDepthStencilValue;
	void SetRenderCustomDepth(bool);
	void SetCustomDepthStencilValue(int32);
	bool WasRecentlyRendered(float) const;
};
class UStaticMesh : public UObject {};
class UStaticMeshComponent : public UPrimitiveComponent
{
public:
	TObjectPtr<UStaticMesh> GetStaticMesh() const;
};
class UInstancedStaticMeshComponent : public UStaticMeshComponent {};
class AActor : public UObject
{
public:
	TArray<FName> Tags;
	const TSet<UActorComponent*>& GetComponents() const;
	bool Destroy();
	template <class T> T* FindComponentByClass() const;
};
template <class T>
struct TInlineComponentArray : TArray<T>
{
	explicit TInlineComponentArray(const AActor*);
};
class UDeveloperSettings : public UObject
{
public:
	virtual FName GetCategoryName() const;
};
enum ETextureFilter { TF_Bilinear };
class UTexture : public UObject
{
public:
	uint8 SRGB : 1;
	ETextureFilter Filter;
	void UpdateResource();
};
class UTexture2D : public UTexture
{
public:
	static UTexture2D* CreateTransient(int32, int32, EPixelFormat);
	int32 GetSizeX() const;
	int32 GetSizeY() const;
	void UpdateTextureRegions(int32, uint32, const FUpdateTextureRegion2D*, uint32, uint32, uint8*,
		TFunction<void(uint8*, const FUpdateTextureRegion2D*)>);
};
class FTextureRenderTargetResource
{
public:
	const FTextureRHIRef& GetRenderTargetTexture() const;
	uint32 GetSizeX() const;
	uint32 GetSizeY() const;
};
enum ETextureRenderTargetFormat { RTF_RGBA16f };
class UTextureRenderTarget2D : public UTexture
{
public:
	int32 SizeX, SizeY;
	ETextureRenderTargetFormat RenderTargetFormat;
	void InitAutoFormat(uint32, uint32);
	void ResizeTarget(uint32, uint32);
	FTextureRenderTargetResource* GameThread_GetRenderTargetResource();
};
class USceneCaptureComponent2D : public USceneComponent
{
public:
	UTextureRenderTarget2D* TextureTarget;
	ESceneCaptureSource CaptureSource;
	bool bCaptureEveryFrame, bCaptureOnMovement, bUseCustomProjectionMatrix;
	FMatrix CustomProjectionMatrix;
	float FOVAngle;
	void CaptureSceneDeferred();
};
class ASceneCapture2D : public AActor
{
public:
	USceneCaptureComponent2D* GetCaptureComponent2D() const;
};
class UGameViewportClient : public UObject
{
public:
	FViewport* Viewport;
};
class UEngine : public UObject
{
public:
	UGameViewportClient* GameViewport;
};
extern UEngine* GEngine;

#define GENERATED_BODY() \
	using ThisClass = std::nullptr_t;
