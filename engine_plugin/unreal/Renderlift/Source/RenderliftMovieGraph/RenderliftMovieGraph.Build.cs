// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

using UnrealBuildTool;

// Movie Render Graph, Unreal 5.4 and later; assemble.py leaves this module out of a plugin for 5.3.
public class RenderliftMovieGraph : ModuleRules
{
	public RenderliftMovieGraph(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		CppStandard = CppStandardVersion.Cpp20;
		PublicDependencyModuleNames.AddRange(new string[] { "Core", "CoreUObject", "Engine", "MovieRenderPipelineCore" });
		PrivateDependencyModuleNames.AddRange(new string[] { "ImageWriteQueue", "LevelSequence", "MovieScene", "Renderlift", "TimeManagement" });
	}
}
