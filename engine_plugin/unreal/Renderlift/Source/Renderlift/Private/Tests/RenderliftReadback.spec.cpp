// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Needs a GPU:
// UnrealEditor-Cmd PROJECT.uproject -ExecCmds="Automation RunTests Renderlift; Quit" -unattended -RenderOffscreen

#include "RenderliftReadback.h"

#include "Misc/AutomationTest.h"
#include "HAL/PlatformProcess.h"
#include "RenderGraphBuilder.h"
#include "RenderGraphUtils.h"
#include "RenderingThread.h"
#include "RenderliftEngineVersion.h"

#include <atomic>
#include <cstring>

#if WITH_DEV_AUTOMATION_TESTS

namespace
{
	// Odd, so that rows in staging memory are longer than a row of pixels.
	const FIntPoint OddSize(641, 3);
	const FIntPoint LaterSize(1283, 5);  // a viewport that was made larger
	constexpr int64 FirstLater = 2;
	constexpr float Depth = 12.5f;
	constexpr int32 MostPolls = 200;

	FIntPoint SizeOf(int64 Index)
	{
		return Index < FirstLater ? OddSize : LaterSize;
	}

	void Capture(FRDGBuilder& GraphBuilder, FRenderliftReadback& Readback, int64 Index)
	{
		const FRDGTextureRef Texture = GraphBuilder.CreateTexture(
			FRDGTextureDesc::Create2D(
				SizeOf(Index), PF_R32_FLOAT, FClearValueBinding::None, TexCreate_ShaderResource | TexCreate_UAV),
			TEXT("Renderlift.Test"));
		AddClearUAVPass(GraphBuilder, GraphBuilder.CreateUAV(Texture), Depth);
		FRenderliftFrame Frame;
		Frame.Index = Index;
		Frame.Size = SizeOf(Index);
		Readback.Begin(Frame);
		Readback.Add(GraphBuilder, renderlift::Channel::depth, Texture);
		Readback.End();
	}

	void CaptureOnRenderThread(const TSharedRef<FRenderliftReadback>& Readback, int64 Index)
	{
		Readback->Reserve();
		ENQUEUE_RENDER_COMMAND(RenderliftTestCapture)
		(
			[Readback, Index](FRHICommandListImmediate& RHICmdList)
			{
				FRDGBuilder GraphBuilder(RHICmdList);
				Capture(GraphBuilder, *Readback, Index);
				GraphBuilder.Execute();
			});
	}

	void PollUntilIdle(const TSharedRef<FRenderliftReadback>& Readback)
	{
		for (int32 Poll = 0; Poll < MostPolls && !Readback->IsIdle(); ++Poll)
		{
			ENQUEUE_RENDER_COMMAND(RenderliftTestPoll)
			([Readback](FRHICommandListImmediate&) { Readback->Poll(); });
			FlushRenderingCommands();
			FPlatformProcess::Sleep(0.01f);
		}
	}

	bool EveryPixelIsRight(const renderlift::ChannelView& View, FIntPoint Size)
	{
		for (int32 Y = 0; Y < Size.Y; ++Y)
		{
			const uint8* const Row = static_cast<const uint8*>(View.pixels) + Y * View.row_pitch_bytes;
			for (int32 X = 0; X < Size.X; ++X)
			{
				float Value = 0.0f;
				std::memcpy(&Value, Row + X * sizeof(float), sizeof(float));
				if (Value != Depth)
				{
					return false;
				}
			}
		}
		return true;
	}
}

BEGIN_DEFINE_SPEC(FRenderliftReadbackSpec, "Renderlift.Readback",
	EAutomationTestFlags::ProductFilter | EAutomationTestFlags::NonNullRHI | RENDERLIFT_TEST_CONTEXT)
END_DEFINE_SPEC(FRenderliftReadbackSpec)

void FRenderliftReadbackSpec::Define()
{
	It("brings back every pixel of an odd width and of another size later, in order, and offers a refused frame again",
		[this]
		{
			const TSharedRef<std::atomic<int32>> Offered = MakeShared<std::atomic<int32>>(0);
			const TSharedRef<std::atomic<int32>> Right = MakeShared<std::atomic<int32>>(0);
			const TSharedRef<FRenderliftReadback> Readback = MakeShared<FRenderliftReadback>(3,
				[Offered, Right](const renderlift::FrameView& Frame)
				{
					const bool bTaken = ++*Offered != 1;  // the first offer is refused
					*Right += bTaken && Frame.index == *Right && EveryPixelIsRight(Frame.channels[0], SizeOf(Frame.index));
					return bTaken;
				});
			CaptureOnRenderThread(Readback, 0);
			CaptureOnRenderThread(Readback, 1);
			PollUntilIdle(Readback);
			CaptureOnRenderThread(Readback, FirstLater);
			PollUntilIdle(Readback);
			TestEqual(TEXT("offers"), Offered->load(), 4);
			TestEqual(TEXT("frames that came whole and in order"), Right->load(), 3);
			ENQUEUE_RENDER_COMMAND(RenderliftTestRelease)
			([Readback](FRHICommandListImmediate&) { Readback->Release(); });
			FlushRenderingCommands();
		});
}

#endif
