// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// The core's Publisher in the engine's words.

#pragma once

#include "CoreMinimal.h"
#include "HAL/CriticalSection.h"
#include "RenderliftCapture.h"
#include "renderlift/publisher.h"

#include <memory>
#include <vector>

class URenderliftSettings;

/** Any thread. */
class FRenderliftSession
{
public:
	/** Null with OutProblem if the settings cannot work. Does not wait for the bridge. */
	static TSharedPtr<FRenderliftSession> Open(const URenderliftSettings& Settings, const FRenderliftSource& Source,
		const std::vector<renderlift::Channel>& Channels, FText& OutProblem);

	/** All that frames may carry. */
	const std::vector<renderlift::Channel>& Channels() const
	{
		return Declared;
	}

	/** False: no room now, offer it again. A frame that can never go is logged and taken for gone. */
	bool Publish(const renderlift::FrameView& Frame);

	/** Why a frame could never go; empty = none was lost. */
	FText Failure() const;

	/** Whether a frame published now could leave soon. */
	bool WantsFrame() const;

	void SetNames(std::vector<renderlift::IdName> Names);

	/** The newest picture, if there is one that was not taken yet. */
	TOptional<FRenderliftPicture> TakePicture();

	FRenderliftStatus Status() const;

	/** True if the bridge has everything. */
	bool Close(double PatienceSeconds);

private:
	FRenderliftSession(std::unique_ptr<renderlift::Publisher> InPublisher, std::vector<renderlift::Channel> InDeclared);

	const std::vector<renderlift::Channel> Declared;
	std::unique_ptr<renderlift::Publisher> Publisher;
	mutable FCriticalSection FailureLock;
	FText LastFailure;
};
