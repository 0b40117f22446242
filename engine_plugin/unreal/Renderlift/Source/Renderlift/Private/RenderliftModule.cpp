// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "HAL/FileManager.h"
#include "HAL/IConsoleManager.h"
#include "HAL/PlatformProcess.h"
#include "Interfaces/IPluginManager.h"
#include "Misc/CoreDelegates.h"
#include "Misc/Paths.h"
#include "Modules/ModuleManager.h"
#include "Engine/Engine.h"
#include "Engine/GameViewportClient.h"
#include "RenderliftCapture.h"
#include "RenderliftLog.h"
#include "SceneViewExtension.h"
#include "ShaderCore.h"

DEFINE_LOG_CATEGORY(LogRenderlift);

namespace
{
	// The game's own viewport, for a game without an editor. The editor has a toolbar for this.
	void StartGame(ERenderliftMode Mode)
	{
		FRenderliftSource Source;
		Source.Mode = Mode;
		Source.Wants = [](const FSceneViewExtensionContext& Context)
		{ return GEngine && GEngine->GameViewport && Context.Viewport == GEngine->GameViewport->Viewport; };
		FText Problem;
		if (!FRenderliftCapture::Get().Start(Source, Problem))
		{
			UE_LOG(LogRenderlift, Error, TEXT("%s"), *Problem.ToString());
		}
	}

	FAutoConsoleCommand PreviewCommand(TEXT("Renderlift.Preview"),
		TEXT("Sends the game's picture to the bridge; the newest frame wins."),
		FConsoleCommandDelegate::CreateLambda([] { StartGame(ERenderliftMode::Preview); }));
	FAutoConsoleCommand CaptureCommand(TEXT("Renderlift.Capture"),
		TEXT("Sends every frame of the game to the bridge and waits for it. Use -UseFixedTimeStep -FPS=30."),
		FConsoleCommandDelegate::CreateLambda([] { StartGame(ERenderliftMode::Capture); }));
	FAutoConsoleCommand StopCommand(TEXT("Renderlift.Stop"), TEXT("Ends a preview or capture."),
		FConsoleCommandDelegate::CreateLambda([] { FRenderliftCapture::Get().Stop(FText::GetEmpty(), 30.0); }));
}

class FRenderliftModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		const FString PluginFolder = IPluginManager::Get().FindPlugin(TEXT("Renderlift"))->GetBaseDir();
		// While the render thread still lives.
		FCoreDelegates::OnEnginePreExit.AddRaw(this, &FRenderliftModule::OnPreExit);
		AddShaderSourceDirectoryMapping(TEXT("/Plugin/Renderlift"), FPaths::Combine(PluginFolder, TEXT("Shaders")));
#if PLATFORM_WINDOWS
		// Linked with delayed loading: Windows would look for it beside the executable, not in the plugin.
		const FString Folder = FPaths::Combine(PluginFolder, TEXT("Binaries/ThirdParty/Win64"));
		TArray<FString> Names;
		IFileManager::Get().FindFiles(Names, *FPaths::Combine(Folder, TEXT("*.dll")), true, false);
		FPlatformProcess::PushDllDirectory(*Folder);  // they may need each other
		for (const FString& Name : Names)
		{
			Libraries.Add(FPlatformProcess::GetDllHandle(*FPaths::Combine(Folder, Name)));
		}
		FPlatformProcess::PopDllDirectory(*Folder);
		if (Names.Num() == 0 || Libraries.Contains(nullptr))
		{
			UE_LOG(LogRenderlift, Error, TEXT("libzmq cannot be loaded from %s. Make the plugin anew with assemble.py."), *Folder);
		}
#endif
	}

	virtual void ShutdownModule() override
	{
		FCoreDelegates::OnEnginePreExit.RemoveAll(this);
		FRenderliftCapture::Get().Stop();
		for (void* const Library : Libraries)
		{
			FPlatformProcess::FreeDllHandle(Library);
		}
	}

private:
	void OnPreExit()
	{
		FRenderliftCapture::Get().Stop();
	}

	TArray<void*> Libraries;
};

IMPLEMENT_MODULE(FRenderliftModule, Renderlift)
