// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// What the editor adds to a capture: which viewport, redrawn without pause, without gizmos, and labels out of what is
// saved or copied.

#pragma once

#include "CoreMinimal.h"
#include "RenderliftCapture.h"

class FLevelEditorViewportClient;
class FViewport;

/** Game thread. */
class FRenderliftEditorSession
{
public:
	FRenderliftEditorSession();
	~FRenderliftEditorSession();

	void Toggle(ERenderliftMode Mode);

	/** Why the last start failed or the last capture ended; empty = it was asked to. */
	const FText& LastProblem() const
	{
		return Problem;
	}

private:
	/** The viewport a user looks at: of the running game, or the active level viewport. Null if there is none. */
	static const FViewport* CurrentViewport();
	void MakeViewportsLive();
	void ReleaseViewports();
	void BeforeCopy();
	void OnStopped(const FText& Why);
	bool KeepWaiting(const FText& Why);

	FText Problem;
	/** Viewports made live, and whether each was in game view before. */
	TMap<FLevelEditorViewportClient*, bool> LiveViewports;
	FDelegateHandle StoppedHandle;
	FDelegateHandle SaveHandle;
};
