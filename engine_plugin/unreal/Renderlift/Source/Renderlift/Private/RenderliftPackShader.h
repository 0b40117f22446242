// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "DataDrivenShaderPlatformInfo.h"
#include "GlobalShader.h"
#include "RenderGraphResources.h"
#include "RenderliftPackPass.h"
#include "SceneTexturesConfig.h"
#include "SceneView.h"
#include "ShaderParameterStruct.h"

/** RenderliftPack.usf: its parameters, and which of its permutations a project compiles. */
class FRenderliftPackCS : public FGlobalShader
{
public:
	static constexpr int32 GroupSide = 8;

	DECLARE_GLOBAL_SHADER(FRenderliftPackCS);
	SHADER_USE_PARAMETER_STRUCT(FRenderliftPackCS, FGlobalShader);

	class FChannel : SHADER_PERMUTATION_INT("RENDERLIFT_CHANNEL", 8);
	class FFromGBuffer : SHADER_PERMUTATION_BOOL("RENDERLIFT_FROM_GBUFFER");
	using FPermutationDomain = TShaderPermutationDomain<FChannel, FFromGBuffer>;

	BEGIN_SHADER_PARAMETER_STRUCT(FParameters, )
		SHADER_PARAMETER_STRUCT_REF(FViewUniformShaderParameters, View)
		SHADER_PARAMETER_STRUCT_INCLUDE(FSceneTextureShaderParameters, SceneTextures)
		SHADER_PARAMETER(FUintVector2, OutputSize)
		SHADER_PARAMETER(uint32, Shrink)
		SHADER_PARAMETER(FVector2f, PictureSize)
		SHADER_PARAMETER(FIntPoint, PictureMin)
		SHADER_PARAMETER(uint32, PictureIsLinear)
		SHADER_PARAMETER(FVector2f, DataSize)
		SHADER_PARAMETER(FIntPoint, DataMin)
		SHADER_PARAMETER(FVector2f, JitterPixels)
		SHADER_PARAMETER(FVector2f, CustomJitterPixels)
		SHADER_PARAMETER(FVector2f, BufferSizeInverse)
		SHADER_PARAMETER(float, DepthNumerator)
		SHADER_PARAMETER(float, DepthOffset)
		SHADER_PARAMETER(FVector4f, CameraFromImage)
		SHADER_PARAMETER_ARRAY(FVector4f, CameraFromWorld, [3])
		SHADER_PARAMETER_ARRAY(FVector4f, PreviousFromImage, [4])
		SHADER_PARAMETER(uint32, FlowKnown)
		SHADER_PARAMETER(uint32, MotionKnown)
		SHADER_PARAMETER(FVector2f, SurfaceSize)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, PictureTexture)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, DepthTexture)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, CustomDepthTexture)
		SHADER_PARAMETER_RDG_TEXTURE_SRV(Texture2D<uint2>, CustomStencilTexture)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, VelocityTexture)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, SurfaceTexture)
		SHADER_PARAMETER_RDG_BUFFER_SRV(StructuredBuffer<uint2>, StencilTable)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float4>, OutColour)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float4>, OutNormal)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float>, OutDepth)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<uint>, OutId)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float2>, OutFlow)
	END_SHADER_PARAMETER_STRUCT()

	static bool ReadsGBuffer(renderlift::Channel What)
	{
		return What == renderlift::Channel::normal || What == renderlift::Channel::albedo
			|| What == renderlift::Channel::material;
	}

	static bool ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters)
	{
		if (!IsFeatureLevelSupported(Parameters.Platform, ERHIFeatureLevel::SM5))
		{
			return false;
		}
		const FPermutationDomain Permutation(Parameters.PermutationId);
		const renderlift::Channel What = renderlift::Channel(Permutation.Get<FChannel>());
		if (Permutation.Get<FFromGBuffer>())
		{
			return ReadsGBuffer(What) && RenderliftPackPass::HasPlainGBuffer();
		}
		return What != renderlift::Channel::material;
	}

	static void ModifyCompilationEnvironment(
		const FGlobalShaderPermutationParameters& Parameters, FShaderCompilerEnvironment& OutEnvironment)
	{
		FGlobalShader::ModifyCompilationEnvironment(Parameters, OutEnvironment);
		OutEnvironment.SetDefine(TEXT("RENDERLIFT_GROUP"), GroupSide);
	}
};
