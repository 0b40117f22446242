// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftEditorSession.h"

#include "Editor.h"
#include "Engine/World.h"
#include "GameFramework/Actor.h"
#include "LevelEditorViewport.h"
#include "Misc/MessageDialog.h"
#include "SceneViewExtension.h"
#include "UObject/ObjectSaveContext.h"
#include "UObject/UObjectGlobals.h"
#include "UnrealClient.h"

#include <array>

#define LOCTEXT_NAMESPACE "Renderlift"

namespace
{
	constexpr double CapturePatienceSeconds = 30.0;	 // for the bridge to write the last frames

	std::array<FSimpleMulticastDelegate*, 3> CopyingDelegates()
	{
		return {&FEditorDelegates::OnDuplicateActorsBegin, &FEditorDelegates::OnEditCopyActorsBegin,
			&FEditorDelegates::OnEditCutActorsBegin};
	}

	FText RealtimeOwner()
	{
		return LOCTEXT("RealtimeOwner", "Renderlift");
	}
}

FRenderliftEditorSession::FRenderliftEditorSession()
{
	FRenderliftCapture& Capture = FRenderliftCapture::Get();
	StoppedHandle = Capture.OnStopped.AddRaw(this, &FRenderliftEditorSession::OnStopped);
	Capture.KeepWaiting = [this](const FText& Why) { return KeepWaiting(Why); };
	// What is saved or copied has its own custom depth, not ours. Actors too, because they may be packages of their own,
	// saved without their level.
	SaveHandle = FCoreUObjectDelegates::OnObjectPreSave.AddLambda(
		[](UObject* Object, FObjectPreSaveContext)
		{
			if (Object && (Object->IsA<UWorld>() || Object->IsA<AActor>()))
			{
				FRenderliftCapture::Get().RestoreLabels();
			}
		});
	for (FSimpleMulticastDelegate* const Copying : CopyingDelegates())
	{
		Copying->AddRaw(this, &FRenderliftEditorSession::BeforeCopy);
	}
}

FRenderliftEditorSession::~FRenderliftEditorSession()
{
	FRenderliftCapture& Capture = FRenderliftCapture::Get();
	Capture.Stop();
	Capture.OnStopped.Remove(StoppedHandle);
	Capture.KeepWaiting = nullptr;
	FCoreUObjectDelegates::OnObjectPreSave.Remove(SaveHandle);
	for (FSimpleMulticastDelegate* const Copying : CopyingDelegates())
	{
		Copying->RemoveAll(this);
	}
}

void FRenderliftEditorSession::Toggle(ERenderliftMode Mode)
{
	FRenderliftCapture& Capture = FRenderliftCapture::Get();
	if (Capture.IsRunning())
	{
		Capture.Stop(FText::GetEmpty(), CapturePatienceSeconds);
		return;
	}
	FRenderliftSource Source;
	Source.Mode = Mode;
	Source.Wants = [](const FSceneViewExtensionContext& Context)
	{ return Context.Viewport && Context.Viewport == CurrentViewport(); };
	Problem = FText::GetEmpty();
	if (GEditor && Capture.Start(Source, Problem))
	{
		MakeViewportsLive();
	}
}

const FViewport* FRenderliftEditorSession::CurrentViewport()
{
	if (!GEditor)
	{
		return nullptr;
	}
	return GEditor->PlayWorld ? GEditor->GetPIEViewport() : GEditor->GetActiveViewport();
}

void FRenderliftEditorSession::MakeViewportsLive()
{
	for (FLevelEditorViewportClient* const Client : GEditor->GetLevelViewportClients())
	{
		if (Client && Client->IsPerspective() && !LiveViewports.Contains(Client))
		{
			LiveViewports.Add(Client, Client->IsInGameView());
			// An editor viewport is only redrawn on change unless it is told to.
			Client->AddRealtimeOverride(true, RealtimeOwner());
			Client->SetGameView(true);	// gizmos, icons and outlines are no part of the picture
		}
	}
}

void FRenderliftEditorSession::ReleaseViewports()
{
	if (GEditor)
	{
		// Only those that still exist: the user may have closed some.
		for (FLevelEditorViewportClient* const Client : GEditor->GetLevelViewportClients())
		{
			if (const bool* const bGameViewBefore = LiveViewports.Find(Client))
			{
				Client->RemoveRealtimeOverride(RealtimeOwner(), false);
				Client->SetGameView(*bGameViewBefore);
			}
		}
	}
	LiveViewports.Empty();
}

void FRenderliftEditorSession::BeforeCopy()
{
	FRenderliftCapture::Get().RestoreLabels();
}

void FRenderliftEditorSession::OnStopped(const FText& Why)
{
	ReleaseViewports();
	Problem = Why;
}

bool FRenderliftEditorSession::KeepWaiting(const FText& Why)
{
	const FText Question = FText::Format(
		LOCTEXT("KeepWaiting", "{0}\n\nKeep waiting? No ends the capture; what was captured so far is kept."), Why);
	return FMessageDialog::Open(EAppMsgType::YesNo, Question) == EAppReturnType::Yes;
}

#undef LOCTEXT_NAMESPACE
