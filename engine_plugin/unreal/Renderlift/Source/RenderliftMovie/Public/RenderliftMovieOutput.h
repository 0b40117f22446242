// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "MoviePipelineOutputBase.h"

#include "RenderliftMovieOutput.generated.h"

class UMoviePipeline;

/**
 * Movie Render Queue: add "Renderlift" to a job's settings and every frame of the movie reaches the bridge with all
 * channels, taken from the view that the movie renders. Start `renderlift record` or `renderlift serve` first; the render
 * waits for it.
 */
UCLASS(BlueprintType)
class RENDERLIFTMOVIE_API URenderliftMovieOutput : public UMoviePipelineOutputBase
{
	GENERATED_BODY()

public:
#if WITH_EDITOR
	virtual FText GetDisplayText() const override;
#endif

	/** Names the run; give the same again to go on after a crash. Empty = a new run. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Renderlift")
	FString Session;

protected:
	virtual void SetupForPipelineImpl(UMoviePipeline* InPipeline) override;
	virtual void TeardownForPipelineImpl(UMoviePipeline* InPipeline) override;
	virtual bool HasFinishedProcessingImpl() override;
	virtual void ValidateStateImpl() override;

private:
	FDelegateHandle StoppedHandle;
};
