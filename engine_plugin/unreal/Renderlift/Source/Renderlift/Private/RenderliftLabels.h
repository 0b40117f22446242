// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Who is who in a world: ids of classes and instances, and the custom stencil values that carry them.

#pragma once

#include "Components/PrimitiveComponent.h"
#include "CoreMinimal.h"
#include "RenderliftSettings.h"
#include "RenderliftStencils.h"
#include "UObject/WeakObjectPtr.h"
#include "renderlift/frame.h"

#include <vector>

class AActor;
class UWorld;

/** Game thread. Ids once dealt stay for the life of this object, that is for one session. */
class FRenderliftLabels
{
public:
	explicit FRenderliftLabels(ERenderliftLabels InWhich);
	~FRenderliftLabels();

	/** Labels this world for the frame about to be drawn. */
	void Update(UWorld& World);

	/** Gives every primitive its own custom depth settings back; the next Update() takes them again. */
	void Restore();

	/** By stencil value, for the frame about to be drawn. */
	FRenderliftStencils::FTable Table() const;

	/** The id table, if it grew since the last call. */
	TOptional<std::vector<renderlift::IdName>> TakeChangedNames();

private:
	struct FInstance
	{
		FRenderliftIds Ids;
		/** What is drawn of it, and how each stood before. */
		struct FPart
		{
			TWeakObjectPtr<UPrimitiveComponent> Primitive;
			bool bOwnCustomDepth = false;
			int32 OwnStencil = 0;
			bool bTaken = false;
		};
		TArray<FPart> Parts;
	};

	void Scan(UWorld& World);
	void AddActor(AActor& Actor);
	void AddPart(const FString& Path, const FString& InstanceName, const FString& ClassName, UPrimitiveComponent& Primitive);
	uint32 ClassId(const FString& ClassName);
	/** All instances, those in view first. */
	std::vector<FRenderliftIds> ByImportance() const;
	void Apply(FInstance& Instance, uint8 Stencil);

	ERenderliftLabels Which;
	FRenderliftStencils Stencils;
	TMap<FString, uint32> ClassIds;
	/** Which components each actor had when it was looked at, folded into a number. */
	TMap<TWeakObjectPtr<AActor>, uint32> Seen;
	/** By path; the instance id is the place plus 1. */
	TMap<FString, int32> InstanceByPath;
	TArray<FInstance> Instances;
	TSet<TWeakObjectPtr<UPrimitiveComponent>> Known;
	std::vector<renderlift::IdName> Names;
	bool bNamesChanged = false;
	bool bAnyTaken = false;
	bool bToldUnlabelled = false;
	/** What the values were last dealt for; nothing is touched while it stays. */
	std::vector<FRenderliftIds> DealtFor;
	TWeakObjectPtr<UWorld> ScannedWorld;
	double LastScanSeconds = -1.0e9;
	int32 CustomDepthBefore = -1;
};
