// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "Graph/Nodes/MovieGraphFileOutputNode.h"

#include "RenderliftMovieGraphOutput.generated.h"

/**
 * Movie Render Graph: put this node before the Outputs node, in the Globals branch or in a render layer's, and every
 * frame of the movie reaches the bridge with all channels, taken from the view that the movie renders.
 */
UCLASS()
class RENDERLIFTMOVIEGRAPH_API URenderliftMovieGraphOutput : public UMovieGraphFileOutputNode
{
	GENERATED_BODY()

public:
#if WITH_EDITOR
	virtual FText GetNodeTitle(const bool bGetDescriptive = false) const override;
#endif

protected:
	/** Nothing: the capture takes its pictures where the view is drawn. */
	virtual void OnReceiveImageDataImpl(UMovieGraphPipeline* InPipeline,
		UE::MovieGraph::FMovieGraphOutputMergerFrame* InRawFrameData,
		const TSet<FMovieGraphRenderDataIdentifier>& InMask) override;
	virtual bool IsFinishedWritingToDiskImpl() const override;
};
