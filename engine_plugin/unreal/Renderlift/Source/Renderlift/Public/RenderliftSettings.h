// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "Engine/DeveloperSettings.h"

#include "RenderliftSettings.generated.h"

/** Who decides the class and instance of a pixel. */
UENUM()
enum class ERenderliftLabels : uint8
{
	/** No ids. Custom depth is left alone. */
	None,
	/** Actors with a Renderlift Label component or a tag "renderlift_class:NAME". */
	Labelled,
	/** Everything; what has no label is called by its mesh or actor class. */
	Everything,
	/** Class = the custom stencil value that the project itself sets. No instances. */
	ProjectStencil,
};

/** Where normals and base colour come from. */
UENUM()
enum class ERenderliftSurfaces : uint8
{
	/** The view's own G-buffer where it has one that all versions read alike, scene captures otherwise. */
	Automatic,
	/** Two more renders of the same view: right under Substrate and forward shading as well. No roughness, no metallic. */
	SceneCapture,
};

/** Project Settings, Plugins, Renderlift. */
UCLASS(Config = Game, DefaultConfig, meta = (DisplayName = "Renderlift"))
class RENDERLIFT_API URenderliftSettings : public UDeveloperSettings
{
	GENERATED_BODY()

public:
	virtual FName GetCategoryName() const override;

	/** Where `renderlift serve` listens. Another machine needs keys: see docs/unreal.md. */
	UPROPERTY(Config, EditAnywhere, Category = "Bridge")
	FString Endpoint = TEXT("tcp://127.0.0.1:5755");

	/** Pixels go through shared memory where engine and bridge run on one machine (Linux). */
	UPROPERTY(Config, EditAnywhere, Category = "Bridge")
	bool bShareMemory = true;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	bool bDepth = true;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	bool bNormal = true;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	bool bIds = true;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	bool bFlow = true;

	/** Base colour, and roughness and metallic where the G-buffer tells them. */
	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	bool bAlbedo = false;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	ERenderliftLabels Labels = ERenderliftLabels::Everything;

	UPROPERTY(Config, EditAnywhere, Category = "Channels")
	ERenderliftSurfaces Surfaces = ERenderliftSurfaces::Automatic;

	/** Previews are shrunk by a whole number to at most this wide; 0 = as large as the viewport. */
	UPROPERTY(Config, EditAnywhere, Category = "Preview", meta = (ClampMin = "0", ClampMax = "16384"))
	int32 PreviewWidth = 640;

	UPROPERTY(Config, EditAnywhere, Category = "Preview", meta = (ClampMin = "1", ClampMax = "240"))
	float PreviewFramesPerSecond = 30.0f;

	/** A picture is called stale when nothing newer has come for this long. */
	UPROPERTY(Config, EditAnywhere, Category = "Preview", meta = (ClampMin = "100"))
	int32 StaleAfterMilliseconds = 1000;

	/** Frames that may be on their way from the GPU at once. */
	UPROPERTY(Config, EditAnywhere, Category = "Advanced", meta = (ClampMin = "3", ClampMax = "8"))
	int32 ReadbackSets = 4;

	/** How long a capture waits for a bridge that takes nothing before it ends with an error; 0 = for ever. */
	UPROPERTY(Config, EditAnywhere, Category = "Advanced", meta = (ClampMin = "0"))
	float CapturePatienceSeconds = 0.0f;
};
