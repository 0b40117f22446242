// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftPackPass.h"

#include "FXRenderingUtils.h"
#include "GlobalShader.h"
#include "HAL/IConsoleManager.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "RenderGraphBuilder.h"
#include "RenderGraphUtils.h"
#include "RenderliftEngineVersion.h"
#include "RenderliftPackShader.h"
#include "SceneTexturesConfig.h"
#include "SceneView.h"
#include "ScreenPass.h"
#include "TextureResource.h"

using renderlift::Channel;

namespace
{
	constexpr int32 Unknown = -1;

	int32 SettingOr(const TCHAR* Name, int32 Otherwise)
	{
		const IConsoleVariable* Variable = IConsoleManager::Get().FindConsoleVariable(Name);
		return Variable ? Variable->GetInt() : Otherwise;
	}

	// Substrate has a layout of its own, and later versions can fill the ordinary G-buffer instead (format 0). In doubt it
	// is its own: scene captures are right either way.
	bool AsksForPlainGBuffer()
	{
		const int32 Format = SettingOr(TEXT("r.Substrate.GBufferFormat"), Unknown);
		const int32 ProjectFormat = SettingOr(TEXT("r.Substrate.ProjectGBufferFormat"), Unknown);
		const bool bSaysOrdinary = FMath::Max(Format, ProjectFormat) == 0;
		const bool bOwnLayout = SettingOr(TEXT("r.Substrate"), 0) != 0 && !bSaysOrdinary;
		return !bOwnLayout && SettingOr(TEXT("r.ForwardShading"), 0) == 0;
	}

	const FSceneTextureUniformParameters* TexturesOf(const FPostProcessMaterialInputs& Inputs)
	{
		const auto Buffer = Inputs.SceneTextures.SceneTextures.GetUniformBuffer();
		return Buffer ? Buffer->GetContents() : nullptr;
	}

	// What a frame did not draw is a stand-in of a pixel or so, never null.
	bool IsDrawn(FRDGTextureRef Texture, const FSceneTextureUniformParameters& Textures)
	{
		return Texture && Texture->Desc.Extent == Textures.SceneDepthTexture->Desc.Extent;
	}

	FVector4f Row(const RenderliftAxes::FMatrix4& Matrix, int32 Index)
	{
		return FVector4f(float(Matrix[Index * 4]), float(Matrix[Index * 4 + 1]), float(Matrix[Index * 4 + 2]),
			float(Matrix[Index * 4 + 3]));
	}
}

IMPLEMENT_GLOBAL_SHADER(FRenderliftPackCS, "/Plugin/Renderlift/Private/RenderliftPack.usf", "MainCS", SF_Compute);

// The shader numbers the channels as the core does.
static_assert(int(Channel::rgb) == 0 && int(Channel::depth) == 1 && int(Channel::normal) == 2);
static_assert(int(Channel::class_id) == 3 && int(Channel::instance_id) == 4 && int(Channel::flow) == 5);
static_assert(int(Channel::albedo) == 6 && int(Channel::material) == 7);

namespace
{
	using FParameters = FRenderliftPackCS::FParameters;

	// Of the picture and the frame: sizes, intrinsics, depth, and where this camera was a frame ago.
	void SetCamera(FParameters& Parameters, const FRenderliftPack& Pack)
	{
		Parameters.Shrink = uint32(Pack.View.Shrink);
		Parameters.PictureSize = FVector2f(float(Pack.View.Width), float(Pack.View.Height));
		const RenderliftAxes::FDepthFromDevice Depth = RenderliftAxes::DepthFromDevice(Pack.View);
		Parameters.DepthNumerator = float(Depth.Numerator);
		Parameters.DepthOffset = float(Depth.Offset);
		const RenderliftAxes::FMatrix3 Intrinsics = RenderliftAxes::ImageFromCamera(Pack.View);
		Parameters.CameraFromImage = FVector4f(float(1 / Intrinsics[0]), float(1 / Intrinsics[4]),
			float(-Intrinsics[2] / Intrinsics[0]), float(-Intrinsics[5] / Intrinsics[4]));
		const RenderliftAxes::FMatrix3 Axes = RenderliftAxes::CameraFromUnrealWorld(Pack.View);
		for (int32 Index = 0; Index < 3; ++Index)
		{
			Parameters.CameraFromWorld[Index] =
				FVector4f(float(Axes[Index * 3]), float(Axes[Index * 3 + 1]), float(Axes[Index * 3 + 2]), 0.0f);
		}
		Parameters.FlowKnown = Pack.Previous ? 1 : 0;
		Parameters.MotionKnown = Pack.bMotionKnown ? 1 : 0;
		if (Pack.Previous)
		{
			const RenderliftAxes::FMatrix4 Before = RenderliftAxes::PreviousFromImage(Pack.Previous->WorldFromCamera,
				Pack.Previous->ImageFromCamera, RenderliftAxes::WorldFromCamera(Pack.View), Intrinsics);
			for (int32 Index = 0; Index < 4; ++Index)
			{
				Parameters.PreviousFromImage[Index] = Row(Before, Index);
			}
		}
	}

	// Of depth, stencil, velocity and G-buffer, before upscaling.
	void SetDataRectangle(FParameters& Parameters, const FSceneView& View)
	{
		const FIntRect Rectangle = UE::FXRenderingUtils::GetRawViewRectUnsafe(View);
		const FVector2D Jitter = View.ViewMatrices.GetTemporalAAJitter();
		Parameters.DataSize = FVector2f(float(Rectangle.Width()), float(Rectangle.Height()));
		Parameters.DataMin = Rectangle.Min;
		Parameters.JitterPixels =
			FVector2f(float(0.5 * Jitter.X * Rectangle.Width()), float(-0.5 * Jitter.Y * Rectangle.Height()));
	}

	void SetTextures(FParameters& Parameters, const FSceneTextureUniformParameters& Textures)
	{
		const FIntPoint Extent = Textures.SceneDepthTexture->Desc.Extent;
		Parameters.BufferSizeInverse = FVector2f(1.0f / float(Extent.X), 1.0f / float(Extent.Y));
		Parameters.DepthTexture = Textures.SceneDepthTexture;
		Parameters.CustomDepthTexture = Textures.CustomDepthTexture;
		Parameters.CustomStencilTexture = Textures.CustomStencilTexture;
		Parameters.VelocityTexture = Textures.GBufferVelocityTexture;
	}

	FRDGBufferSRVRef UploadStencils(FRDGBuilder& GraphBuilder, const FRenderliftStencils::FTable& Stencils)
	{
		static_assert(sizeof(FRenderliftIds) == sizeof(FUintVector2));
		const FRDGBufferRef Table = CreateStructuredBuffer(GraphBuilder, TEXT("Renderlift.Stencils"),
			sizeof(FRenderliftIds), uint32(Stencils.size()), Stencils.data(), Stencils.size() * sizeof(FRenderliftIds));
		return GraphBuilder.CreateSRV(Table);
	}

	FTextureRenderTargetResource* CapturedSurface(Channel What, const FRenderliftPack& Pack)
	{
		switch (What)
		{
			case Channel::normal:
				return Pack.CapturedNormal;
			case Channel::albedo:
				return Pack.CapturedBaseColor;
			default:
				return nullptr;
		}
	}

	void SetOutput(FParameters& Parameters, Channel What, FRDGTextureUAVRef Output)
	{
		switch (What)
		{
			case Channel::depth:
				Parameters.OutDepth = Output;
				break;
			case Channel::normal:
				Parameters.OutNormal = Output;
				break;
			case Channel::class_id:
			case Channel::instance_id:
				Parameters.OutId = Output;
				break;
			case Channel::flow:
				Parameters.OutFlow = Output;
				break;
			default:
				Parameters.OutColour = Output;
				break;
		}
	}
}

namespace RenderliftPackPass
{
	FRenderliftTexel TexelOf(Channel What)
	{
		switch (What)
		{
			case Channel::depth:
				return {PF_R32_FLOAT, 4};
			case Channel::normal:
				return {PF_FloatRGBA, 8};
			case Channel::class_id:
			case Channel::instance_id:
				return {PF_R32_UINT, 4};
			case Channel::flow:
				return {PF_G32R32F, 8};
			default:
				return {PF_R8G8B8A8, 4};
		}
	}

	bool HasPlainGBuffer()
	{
		// Settings of a project: they cannot change while it runs.
		static const bool bPlain = AsksForPlainGBuffer();
		return bPlain;
	}

	bool CanPack(Channel What, const FPostProcessMaterialInputs& Inputs, const FRenderliftPack& Pack)
	{
		if (What == Channel::rgb)
		{
			return true;
		}
		const FSceneTextureUniformParameters* Textures = TexturesOf(Inputs);
		if (!Textures || !Textures->SceneDepthTexture)
		{
			return false;
		}
		switch (What)
		{
			case Channel::depth:
				return true;
			case Channel::class_id:
			case Channel::instance_id:
				return Textures->CustomDepthTexture && Textures->CustomStencilTexture;
			case Channel::flow:
				// Drawn for TSR, TAA and motion blur only. Without it a moving thing would pass for a still one.
				return IsDrawn(Textures->GBufferVelocityTexture, *Textures);
			case Channel::normal:
				return Pack.CapturedNormal || (HasPlainGBuffer() && IsDrawn(Textures->GBufferATexture, *Textures));
			case Channel::albedo:
				return Pack.CapturedBaseColor || (HasPlainGBuffer() && IsDrawn(Textures->GBufferCTexture, *Textures));
			case Channel::material:
				return HasPlainGBuffer() && IsDrawn(Textures->GBufferBTexture, *Textures);
			default:
				return false;
		}
	}

	RenderliftAxes::FUnrealView ReadView(const FSceneView& View, FIntPoint PictureSize, int32 Shrink)
	{
		const FMatrix World = RenderliftEngineVersion::WorldFromView(View.ViewMatrices);
		const FMatrix Projection = RenderliftEngineVersion::ProjectionWithoutJitter(View.ViewMatrices);
		const auto Axis = [&World](int32 Index)
		{
			return RenderliftAxes::FVector3{World.M[Index][0], World.M[Index][1], World.M[Index][2]};
		};
		RenderliftAxes::FUnrealView Result;
		Result.Right = Axis(0);
		Result.Up = Axis(1);
		Result.Forward = Axis(2);
		Result.LocationCm = Axis(3);
		Result.Projection00 = Projection.M[0][0];
		Result.Projection11 = Projection.M[1][1];
		Result.Projection20 = Projection.M[2][0];
		Result.Projection21 = Projection.M[2][1];
		Result.Projection22 = Projection.M[2][2];
		Result.Projection32 = Projection.M[3][2];
		Result.Width = PictureSize.X;
		Result.Height = PictureSize.Y;
		Result.Shrink = Shrink;
		return Result;
	}

	FRDGTextureRef Add(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs,
		const FScreenPassTexture& Picture, Channel What, const FRenderliftPack& Pack)
	{
		const auto [Width, Height] = RenderliftAxes::FrameSize(Pack.View);
		const FRDGTextureDesc Desc = FRDGTextureDesc::Create2D(FIntPoint(Width, Height), TexelOf(What).Format,
			FClearValueBinding::None, TexCreate_ShaderResource | TexCreate_UAV);
		const FRDGTextureRef Output = GraphBuilder.CreateTexture(Desc, TEXT("Renderlift.Channel"));

		FParameters* Parameters = GraphBuilder.AllocParameters<FParameters>();
		Parameters->View = View.ViewUniformBuffer;
		Parameters->SceneTextures = Inputs.SceneTextures;
		Parameters->OutputSize = FUintVector2(uint32(Width), uint32(Height));
		Parameters->PictureMin = Picture.ViewRect.Min;
		Parameters->PictureTexture = Picture.Texture;
		Parameters->PictureIsLinear = Pack.bPictureIsLinear ? 1 : 0;
		SetCamera(*Parameters, Pack);
		SetDataRectangle(*Parameters, View);
		if (const FSceneTextureUniformParameters* Textures = What == Channel::rgb ? nullptr : TexturesOf(Inputs))
		{
			SetTextures(*Parameters, *Textures);
		}
		if (What == Channel::class_id || What == Channel::instance_id)
		{
			Parameters->StencilTable = UploadStencils(GraphBuilder, Pack.Stencils);
			// Often switched off, so that outlines made of it stand still.
			const bool bJitters = SettingOr(TEXT("r.CustomDepthTemporalAAJitter"), 1) != 0;
			Parameters->CustomJitterPixels = bJitters ? Parameters->JitterPixels : FVector2f(0.0f, 0.0f);
		}
		FTextureRenderTargetResource* const Captured = CapturedSurface(What, Pack);
		if (Captured)
		{
			Parameters->SurfaceTexture =
				RegisterExternalTexture(GraphBuilder, Captured->GetRenderTargetTexture(), TEXT("Renderlift.Surface"));
			Parameters->SurfaceSize = FVector2f(float(Captured->GetSizeX()), float(Captured->GetSizeY()));
		}
		SetOutput(*Parameters, What, GraphBuilder.CreateUAV(Output));

		FRenderliftPackCS::FPermutationDomain Permutation;
		Permutation.Set<FRenderliftPackCS::FChannel>(int32(What));
		Permutation.Set<FRenderliftPackCS::FFromGBuffer>(FRenderliftPackCS::ReadsGBuffer(What) && !Captured);
		const TShaderMapRef<FRenderliftPackCS> Shader(GetGlobalShaderMap(View.GetFeatureLevel()), Permutation);
		FComputeShaderUtils::AddPass(GraphBuilder, RDG_EVENT_NAME("Renderlift.Pack %d", int32(What)), Shader, Parameters,
			FComputeShaderUtils::GetGroupCount(FIntPoint(Width, Height), FRenderliftPackCS::GroupSide));
		return Output;
	}
}
