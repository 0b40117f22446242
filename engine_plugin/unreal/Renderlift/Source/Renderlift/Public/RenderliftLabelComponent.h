// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Components/ActorComponent.h"
#include "CoreMinimal.h"

#include "RenderliftLabelComponent.generated.h"

/** Says what its actor is: one object of one class, whatever it is made of. */
UCLASS(ClassGroup = "Renderlift", meta = (BlueprintSpawnableComponent, DisplayName = "Renderlift Label"))
class RENDERLIFT_API URenderliftLabelComponent : public UActorComponent
{
	GENERATED_BODY()

public:
	/** E.g. "vehicle". Empty: the actor is left unlabelled. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Renderlift")
	FString ClassName;
};
